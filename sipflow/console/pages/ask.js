// What would become of a call, and why, without placing it.

import { ask as send } from "./api.js";
import { badge, el, facts, fill, loading, said, section, trouble } from "./dom.js";

export async function askPage({ place, query, signal }) {
  const answer = el("div", { role: "status" });
  const field = (label, name, help, attributes) =>
    el(
      "div",
      { class: "field" },
      el("label", { for: `a-${name}` }, label),
      el("input", { id: `a-${name}`, name, value: query.get(name) ?? "", "aria-describedby": `h-${name}`, ...attributes }),
      el("p", { class: "muted", id: `h-${name}` }, help),
    );
  const load = async () => {
    fill(answer, loading("the answer"));
    const body = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
    try {
      const { response } = await send("/v2/explain", { method: "POST", body, signal });
      fill(answer, told(response));
    } catch (error) {
      if (!signal.aborted) fill(answer, trouble(error));
    }
  };
  const form = el(
    "form",
    {
      class: "panel",
      onsubmit: (event) => {
        event.preventDefault();
        load();
      },
    },
    el(
      "div",
      { class: "fields top-aligned" },
      field("To", "to", "A number, as the far end writes it", { type: "text", required: true }),
      field("From", "from_address", "An address, such as 198.51.100.7 or tls:198.51.100.7; left empty it is this machine", { type: "text" }),
    ),
    el("button", { type: "submit" }, "Ask"),
  );
  fill(place, el("p", { class: "muted" }, "What becomes of a call in, step by step. Nothing is placed."), form, answer);
  if (query.get("to")) await load();
}

function told(found) {
  return section(
    found.answered ? "It is answered" : "It is not answered",
    el("p", { class: "lead" }, said(found.why)),
    el("ol", { class: "steps" }, found.steps.map((step) => el("li", {}, badge(step.part, step.good ? "good" : "bad"), " ", said(step.text)))),
    facts([
      ["SIP status", found.status ? String(found.status) : "nothing is said"],
      ["Trunk", said(found.trunk)],
      ["Number", said(found.number)],
      ["Agent", said(found.agent)],
      ["Codec", said(found.codec)],
    ]),
  );
}
