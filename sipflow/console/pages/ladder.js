// Who sent what to whom: the SIP messages of a call as arrows between those who took part.

import { el, fill, svg } from "./dom.js";

const [ROW, HEAD] = [34, 34];
const [ROOMY, NARROW] = [{ column: 250, left: 150, right: 110 }, { column: 152, left: 84, right: 66 }];

// `state` remembers which message is open, from one drawing to the next.
export function ladder(messages, state = {}) {
  const { column, left, right } = matchMedia("(max-width: 34rem)").matches ? NARROW : ROOMY;
  const names = [...new Set(messages.flatMap((each) => [each.source, each.target]))];
  names.sort((one, other) => (one === "sipflow") - (other === "sipflow"));
  const at = (name) => left + names.indexOf(name) * column;
  const wide = left + (names.length - 1) * column + right;
  const high = HEAD + messages.length * ROW + 12;
  const text = el("pre", { tabindex: "0", "aria-live": "polite" });
  const shown = el("div", { class: "message", hidden: true }, el("h3", {}, "Message"), text);
  const arrows = messages.map((each, place) => arrow(each, place));
  const drawn = svg(
    "svg",
    { viewBox: `0 0 ${wide} ${high}`, width: wide, height: high, class: "ladder", role: "group", "aria-label": `${messages.length} SIP messages` },
    svg("defs", {}, svg("marker", { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto-start-reverse" }, svg("path", { d: "M0 0L8 4L0 8z", class: "tip" }))),
    names.map((name) => [
      svg("text", { x: at(name), y: 16, "text-anchor": "middle", class: "who" }, name.replace(/^(udp|tcp|tls|ws|wss):/, "$1 ")),
      svg("line", { x1: at(name), x2: at(name), y1: 24, y2: high, class: "life" }),
    ]),
    arrows,
  );

  function arrow(each, place) {
    const y = HEAD + place * ROW + 20;
    const [from, to] = [at(each.source), at(each.target)];
    const pad = to > from ? -6 : 6;
    const open = () => {
      state.open = place;
      arrows.forEach((other) => other.setAttribute("aria-expanded", other === element));
      fill(shown.querySelector("h3"), `${each.label}, from ${each.source} to ${each.target}`);
      text.textContent = each.text.replace(/\r/g, "").replace(/[^\x20-\x7e\n\u00a1-\u02af\u0370-\u05ff\u3040-\u9fff]/g, (char) => "\\u" + char.charCodeAt(0).toString(16).padStart(4, "0"));
      shown.hidden = false;
    };
    const kind = /^[1-3]\d\d /.test(each.label) ? "answer" : /^[4-6]\d\d /.test(each.label) ? "refusal" : "request";
    const element = svg(
      "g",
      {
        class: `arrow ${kind}${each.repeated ? " repeated" : ""}`,
        tabindex: "0",
        role: "button",
        "aria-expanded": "false",
        "aria-label": `${each.label} from ${each.source} to ${each.target}, after ${each.after_s.toFixed(3)} seconds`,
        onclick: open,
        onkeydown: (event) => {
          if (event.key === "Enter" || event.key === " ") {
            event.preventDefault();
            open();
          }
        },
      },
      svg("rect", { x: 0, y: y - 20, width: wide, height: ROW, class: "hit" }),
      svg("text", { x: 8, y: y + 4, class: "time" }, `${each.after_s.toFixed(3)} s`),
      svg("text", { x: (from + to) / 2, y: y - 5, "text-anchor": "middle" }, each.label + (each.repeated ? " (again)" : "")),
      svg("line", { x1: from, x2: to + pad, y1: y, y2: y, "marker-end": "url(#tip)" }),
    );
    return element;
  }

  if (state.open !== undefined) arrows[state.open]?.dispatchEvent(new Event("click"));
  return el(
    "div",
    {},
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Ladder of SIP messages" }, drawn),
    el("p", { class: "muted" }, "Choose a message to read it. Passwords, keys and digits are hidden."),
    shown,
  );
}
