// The frame: who is signed in, where we are, and what is shown there.

import { ask } from "./api.js";
import { agentsPage } from "./agents.js";
import { askPage } from "./ask.js";
import { callPage } from "./call.js";
import { el, fill, loading, plain, trouble } from "./dom.js";
import { historyPage } from "./history.js";
import { stopListening } from "./listen.js";
import { livePage } from "./live.js";
import { logPage } from "./log.js";
import { numbersPage } from "./numbers.js";
import { signIn } from "./sign_in.js";
import { trunksPage } from "./trunks.js";

const PAGES = [
  ["live", "Live calls", livePage, "calls:read"],
  ["history", "History", historyPage, "calls:read"],
  ["trunks", "Trunks", trunksPage, "numbers:read"],
  ["numbers", "Numbers", numbersPage, "numbers:read"],
  ["agents", "Agents", agentsPage, "agents:read"],
  ["ask", "Ask why", askPage, "calls:read"],
  ["log", "Log", logPage, "logs:read"],
];
const app = document.getElementById("app");
let who = null;
let leaving = new AbortController();
let main = null;

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  (main ?? app).focus();
});

function frame() {
  const allowed = PAGES.filter(([, , , scope]) => may(scope));
  main = el("main", { id: "main", tabindex: "-1" });
  const links = allowed.map(([name, title]) => el("a", { href: `#/${name}`, "data-page": name }, title));
  fill(
    app,
    el(
      "header",
      { class: "top" },
      el("a", { class: "brand", href: "#/live" }, el("img", { src: "/console/icon.svg", alt: "", width: "24", height: "24" }), "sipflow"),
      el("nav", { "aria-label": "Pages" }, links),
      el(
        "div",
        { class: "who" },
        el("bdi", { class: "muted", title: who.scopes.join(", ") }, who.name),
        el("button", { type: "button", class: "quiet", onclick: signOut }, "Sign out"),
      ),
    ),
    main,
  );
}

function may(scope) {
  return who.scopes.includes(scope);
}

async function show() {
  if (who === null) return;
  leaving.abort();
  leaving = new AbortController();
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  const known = PAGES.find(([page, , , scope]) => page === name && may(scope));
  for (const each of app.querySelectorAll("nav a")) {
    const here = each.dataset.page === (name === "call" ? "history" : name);
    if (here) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  const context = { main, may, signal: leaving.signal, query: new URLSearchParams(query), id: decoded(rest.join("/")), show };
  if (name === "call" && may("calls:read")) return open(callPage, "Call", context);
  if (known) return open(known[2], known[1], context);
  const first = PAGES.find(([, , , scope]) => may(scope));
  if (first) return location.replace(`#/${first[0]}`);
  fill(main, el("h1", {}, "Nothing to see"), el("p", {}, "Your token opens none of these pages. It needs a scope such as calls:read."));
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function open(page, title, context) {
  document.title = `${title} · sipflow`;
  const heading = el("h1", { tabindex: "-1" }, title);
  const place = el("div", { class: "page" }, loading(plain(title).toLowerCase()));
  fill(main, heading, place);
  if (document.activeElement === document.body) heading.focus({ preventScroll: true });
  try {
    await page({ ...context, place, heading });
    place.dataset.shows = location.hash;
  } catch (error) {
    if (!context.signal.aborted) fill(place, trouble(error, () => open(page, title, context)));
  }
}

async function signOut() {
  stopListening();
  await ask("/session", { method: "DELETE" }).catch(() => null);
  leave("You are signed out.");
}

function leave(sentence) {
  if (who === null) return;
  leaving.abort();
  stopListening();
  who = null;
  main = null;
  document.title = "Sign in · sipflow";
  signIn(app, sentence, enter);
}

function enter(guest) {
  who = guest;
  frame();
  show();
}

window.addEventListener("hashchange", show);
// What was asked for a page that has been left since ends so, and is of no interest to anybody.
window.addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name === "AbortError") event.preventDefault();
});
window.addEventListener("signed-out", () => leave("Your session is over. Sign in again."));

try {
  enter(await ask("/session"));
} catch (error) {
  document.title = "Sign in · sipflow";
  signIn(app, error.status === 401 ? "" : error.message, enter);
}
