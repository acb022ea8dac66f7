// Shows a token once, and gets a session for it.

import { ask } from "./api.js";
import { el, fill } from "./dom.js";

export function signIn(app, sentence, enter) {
  const told = el("p", { class: "told", role: "alert" }, sentence);
  const token = el("input", {
    id: "token",
    type: "password",
    name: "token",
    autocomplete: "current-password",
    spellcheck: "false",
    required: true,
    "aria-describedby": "token-help",
  });
  const button = el("button", { type: "submit" }, "Sign in");
  const send = async (event) => {
    event.preventDefault();
    button.disabled = true;
    fill(told);
    try {
      const guest = await ask("/session", { method: "POST", body: { token: token.value } });
      token.value = "";
      enter(guest);
    } catch (error) {
      fill(told, error.status === 401 ? `That did not work: ${error.message}` : error.message);
      button.disabled = false;
      token.focus();
      token.select();
    }
  };
  fill(
    app,
    el(
      "main",
      { id: "main", class: "door", tabindex: "-1" },
      el("img", { src: "/console/icon.svg", alt: "", width: "44", height: "44" }),
      el("h1", {}, "sipflow console"),
      el(
        "form",
        { onsubmit: send, class: "panel" },
        el("label", { for: "token" }, "API token"),
        token,
        el(
          "p",
          { class: "muted", id: "token-help" },
          "Make one on the machine that runs sipflow: ",
          el("code", {}, "sipflow token create"),
          ". What it is for decides what you see here.",
        ),
        told,
        button,
      ),
    ),
  );
  token.focus();
}
