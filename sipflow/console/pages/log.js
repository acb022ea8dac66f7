// The last lines of the log, and those that come.

import { get } from "./api.js";
import { badge, el, fill, link, nothing, said, trouble } from "./dom.js";
import { clock } from "./words.js";

const [EVERY_MS, MOST] = [2000, 500];
const KINDS = { error: "bad", critical: "bad", warning: "warn", info: "", debug: "" };

export async function logPage({ place, signal }) {
  const lines = el("ol", { class: "log", tabindex: "0", "aria-label": "Lines of the log, the newest last" });
  const told = el("div", {});
  const level = el("select", { id: "log-level" }, ["debug", "info", "warning", "error"].map((word) => el("option", { value: word, selected: word === "info" }, word)));
  const text = el("input", { id: "log-text", type: "search", placeholder: "word, number or call" });
  const following = el("input", { id: "log-follow", type: "checkbox", checked: true });
  let [last, turn] = [0, 0];

  const load = async ({ anew = false } = {}) => {
    const mine = anew ? (turn += 1) : turn;
    const found = await get("/log", { limit: MOST, after: anew ? 0 : last, level: level.value, text: text.value }, signal);
    if (mine !== turn) return;
    if (anew || found.last < last) lines.replaceChildren();
    last = found.last;
    lines.append(...found.lines.map(lineOf));
    while (lines.children.length > MOST) lines.firstChild.remove();
    fill(told, lines.children.length ? null : nothing("No line is like that", "Lines of before the last start are not kept here."));
    if (following.checked && found.lines.length) lines.scrollTop = lines.scrollHeight;
  };
  const anew = () => load({ anew: true }).catch((error) => !signal.aborted && fill(told, trouble(error, anew)));
  level.addEventListener("change", anew);
  text.addEventListener("input", anew);
  fill(
    place,
    el(
      "div",
      { class: "panel fields" },
      el("div", { class: "field" }, el("label", { for: "log-level" }, "As serious as"), level),
      el("div", { class: "field" }, el("label", { for: "log-text" }, "With"), text),
      el("label", { class: "check", for: "log-follow" }, following, "Follow"),
    ),
    told,
    lines,
  );
  await load({ anew: true });
  const timer = setInterval(() => following.checked && load().catch(() => null), EVERY_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function lineOf(line) {
  const rest = Object.entries(line.fields).map(([name, value]) => el("span", { class: "pair" }, el("span", { class: "muted" }, name, "="), said(value, '""'), " "));
  return el(
    "li",
    { class: KINDS[line.level] ?? "" },
    el("time", { datetime: line.at }, clock(line.at)),
    badge(line.level, KINDS[line.level] ?? ""),
    el("span", { class: "words" }, said(line.event), " ", line.call ? [link(`#/call/${encodeURIComponent(line.call)}`, `call ${line.call.slice(0, 8)}`), " "] : null, rest),
  );
}
