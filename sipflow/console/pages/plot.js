// Figures as drawings, in SVG.

import { el, svg } from "./dom.js";
import { clock } from "./words.js";

const [WIDE, HIGH, LEFT, BELOW] = [320, 120, 34, 16];

function scale(values, { low, high, least = 0 }) {
  const top = high ?? Math.max(least, ...values) * 1.1;
  return { low, top, y: (value) => HIGH - BELOW - ((Math.min(Math.max(value, low), top) - low) / (top - low || 1)) * (HIGH - BELOW - 8) };
}

function paper(title, values, { low, top, y }) {
  const steps = [low, (low + top) / 2, top];
  const numbers = values.map((value) => value.toFixed(2));
  const told = values.length ? `${title}: from ${numbers[0]} to ${numbers.at(-1)}, lowest ${Math.min(...values).toFixed(2)}, highest ${Math.max(...values).toFixed(2)}` : title;
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": told, class: "plot" },
    steps.map((step) => [
      svg("line", { x1: LEFT, x2: WIDE - 4, y1: y(step), y2: y(step), class: "grid" }),
      svg("text", { x: LEFT - 5, y: y(step) + 4, "text-anchor": "end" }, step >= 10 ? step.toFixed(0) : step.toFixed(1)),
    ]),
  );
}

// One dot for each of `points`: {value, title, href}.
export function dots(title, points, range) {
  const values = points.map((point) => point.value);
  const scaled = scale(values, range);
  const drawn = paper(title, values, scaled);
  points.forEach((point, place) => {
    const x = LEFT + 8 + (place * (WIDE - LEFT - 20)) / Math.max(1, points.length - 1);
    const dot = svg("circle", { cx: x, cy: scaled.y(point.value), r: 4, class: "dot" }, svg("title", {}, `${point.title}: ${point.value.toFixed(2)}`));
    drawn.append(svg("a", { href: point.href, "aria-label": `${point.title}: ${point.value.toFixed(2)}` }, dot));
  });
  return el("figure", {}, el("figcaption", {}, title), drawn);
}

// A line over time: points are {at, value}; where a value is null the line has a gap.
export function line(title, points, range) {
  const known = points.filter((point) => point.value !== null);
  const values = known.map((point) => point.value);
  const scaled = scale(values, range);
  const drawn = paper(title, values, scaled);
  const [from, to] = [points[0].at, points.at(-1).at];
  const x = (at) => LEFT + 4 + ((at - from) / (to - from || 1)) * (WIDE - LEFT - 12);
  let places = [];
  const end = () => {
    if (places.length > 1) drawn.append(svg("polyline", { points: places.join(" "), class: "line" }));
    places = [];
  };
  for (const { at, value } of points) {
    if (value === null) end();
    else places.push(`${x(at).toFixed(1)},${scaled.y(value).toFixed(1)}`);
  }
  end();
  for (const { at, value } of known.length > 60 ? known.slice(-1) : known) drawn.append(svg("circle", { cx: x(at), cy: scaled.y(value), r: 2.5, class: "dot" }));
  const ends = to > from ? [[from, "start"], [to, "end"]] : [[from, "start"]];
  ends.forEach(([at, anchor]) => drawn.append(svg("text", { x: x(at), y: HIGH - 2, "text-anchor": anchor }, clock(at))));
  return el("figure", {}, el("figcaption", {}, title), drawn);
}

// A figure between its ends, with a word: {title, text, share 0..1, kind}.
export function gauge({ title, text, share, kind }) {
  return el(
    "div",
    { class: `gauge ${kind}` },
    el("span", { class: "muted" }, title),
    el("strong", {}, text),
    svg(
      "svg",
      { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { x: 0, y: 0, width: 100, height: 6, rx: 3, class: "rail" }),
      svg("rect", { x: 0, y: 0, width: Math.max(2, Math.min(100, share * 100)), height: 6, rx: 3, class: "bar" }),
    ),
  );
}
