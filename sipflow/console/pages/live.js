// Calls that go on now. Changes come as events; lengths and quality are asked for now and then.

import { ask, follow, get } from "./api.js";
import { badge, confirm, el, fill, link, nothing, said, toast, trouble } from "./dom.js";
import { listenTo } from "./listen.js";
import { long, mos, span, status } from "./words.js";

const [EVERY_MS, SETTLE_MS, NOT_SOONER_MS, MOST] = [5000, 200, 1000, 100];

export async function livePage({ place, may, signal }) {
  const rows = new Map();
  const tiles = el("div", { class: "tiles" });
  const body = el("tbody", {});
  const empty = nothing("No calls at the moment", "A call appears here as soon as it comes in or is placed.");
  const titles = ["State", "From", "To", "Agent", "Trunk", "Length", "Quality", "Actions"];
  const list = el(
    "table",
    { class: "live" },
    el("caption", { class: "hidden" }, "Calls that go on now"),
    el("thead", {}, el("tr", {}, titles.map((title) => el("th", { scope: "col" }, title)))),
    body,
  );
  const fresh = el("p", { class: "muted fresh", role: "status" }, "Connecting …");
  const wrong = el("div", {});
  const more = el("p", { class: "muted", role: "status" });
  let [timer, asking, again, asked] = [0, false, false, 0];
  let [edge, edgeAt] = [null, 0];

  const refresh = async () => {
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    asked = Date.now();
    try {
      const { calls, pagination } = await get("/calls", { live: true, limit: MOST }, signal);
      if (may("status:read") && asked - edgeAt >= EVERY_MS) {
        edge = await get("/status", {}, signal);
        edgeAt = asked;
      }
      fill(wrong);
      draw(calls);
      fill(tiles, edge ? edgeTiles(edge, pagination.total_records) : tile("Live calls", String(pagination.total_records)));
      const hidden = pagination.total_records - calls.length;
      fill(more, hidden > 0 ? `The newest ${calls.length} are shown; ${hidden} more go on. The history finds them.` : "");
    } catch (error) {
      if (!signal.aborted) fill(wrong, trouble(error, refresh));
    }
    asking = false;
    if (again && !signal.aborted) {
      again = false;
      soon();
    }
  };
  const soon = () => {
    if (timer) return;
    const wait = Math.max(SETTLE_MS, asked + NOT_SOONER_MS - Date.now());
    timer = setTimeout(() => {
      timer = 0;
      refresh();
    }, wait);
  };

  const draw = (calls) => {
    const there = new Set(calls.map((call) => call.call_id));
    for (const [id, row] of rows) {
      if (!there.has(id)) {
        row.element.remove();
        rows.delete(id);
      }
    }
    calls.forEach((call, position) => {
      const row = rows.get(call.call_id) ?? rowOf(call, may);
      rows.set(call.call_id, row);
      row.update(call);
      if (body.children[position] !== row.element) body.insertBefore(row.element, body.children[position] ?? null);
    });
    list.hidden = calls.length === 0;
    empty.hidden = calls.length !== 0;
  };

  list.hidden = empty.hidden = true;
  fill(place, tiles, fresh, wrong, list, empty, more);
  const ticking = setInterval(() => rows.forEach((row) => row.tick()), 1000);
  const regular = setInterval(refresh, EVERY_MS);
  signal.addEventListener("abort", () => {
    clearInterval(ticking);
    clearInterval(regular);
    clearTimeout(timer);
  });
  follow("/events", {
    signal,
    happened: soon,
    state: (open) => {
      fill(fresh, open ? "Up to date: changes appear by themselves." : "The connection was lost; trying again …");
      fresh.classList.toggle("warn", !open);
      if (open) soon();
    },
  });
  await refresh();
}

function rowOf(call, may) {
  let now = call;
  const cells = Object.fromEntries(
    ["State", "From", "To", "Agent", "Trunk", "Length", "Quality"].map((title) => [title, el("td", { "data-label": title })]),
  );
  cells.Length.className = "number";
  const id = call.call_id;
  const buttons = el(
    "td",
    { "data-label": "Actions", class: "actions" },
    may("recordings:read") &&
      el("button", { type: "button", class: "quiet", "data-do": "listen", onclick: () => listenTo(now) }, "Listen"),
    may("calls:write") && el("button", { type: "button", class: "quiet bad", "data-do": "hang-up", onclick: () => hangUp(now) }, "Hang up"),
    link(`#/call/${encodeURIComponent(id)}`, "Details"),
  );
  const element = el("tr", { "data-call": id }, Object.values(cells), buttons);
  const shown = {};
  const set = (title, key, ...children) => {
    if (shown[title] !== key) {
      shown[title] = key;
      fill(cells[title], ...children);
    }
  };
  const tick = () => {
    const from = now.sipflow.answered_at ?? now.sipflow.started_at;
    const word = now.sipflow.answered_at ? "" : "waits ";
    set("Length", Math.floor(Date.now() / 1000), word + span((Date.now() - new Date(from)) / 1000));
  };
  const update = (fresh) => {
    now = fresh;
    const [word, kind] = status(fresh.call_status);
    const arrow = fresh.type_of_call === "inbound" ? "in" : "out";
    set("State", word + arrow, badge(word, kind), " ", el("span", { class: "muted" }, arrow));
    set("From", fresh.phone_number_from + fresh.name, party(fresh.phone_number_from, arrow === "in" ? fresh.name : ""));
    set("To", fresh.phone_number_to + fresh.name, party(fresh.phone_number_to, arrow === "out" ? fresh.name : ""));
    set("Agent", fresh.model_id, said(fresh.model_id));
    set("Trunk", fresh.sipflow.trunk, said(fresh.sipflow.trunk));
    const [text, quality] = mos(fresh.sipflow.quality?.mos);
    set("Quality", text, quality ? badge(text, quality) : text);
    const listen = element.querySelector('[data-do="listen"]');
    if (listen) listen.disabled = !fresh.sipflow.answered_at;
    tick();
  };
  return { element, update, tick };
}

export function party(number, name) {
  return [said(number), name ? [el("br"), el("span", { class: "muted" }, said(name))] : null];
}

export async function hangUp(call) {
  const text = `The call from ${call.phone_number_from || "somebody"} to ${call.phone_number_to || "somebody"} ends at once.`;
  if (!(await confirm("Hang up this call?", text, "Hang up"))) return false;
  try {
    await ask(`/v2/calls/${encodeURIComponent(call.call_id)}/hangup`, { method: "POST", body: { reason: "ended by an operator" } });
    toast("The call was ended.", "good");
    return true;
  } catch (error) {
    toast(error.message, "bad");
    return false;
  }
}

function tile(name, value, kind = "", more = "") {
  return el("div", { class: `tile ${kind}` }, el("span", { class: "muted" }, name), el("strong", {}, value), more ? el("small", {}, more) : null);
}

function edgeTiles(edge, calls) {
  const registering = edge.trunks.filter((trunk) => trunk.registration !== "off");
  const there = registering.filter((trunk) => trunk.registration === "registered").length;
  const down = edge.checks.filter((check) => !check.ok).map((check) => check.why || check.name);
  return [
    tile("Edge", edge.ready ? "Ready" : "Not ready", edge.ready ? "good" : "bad", down[0] ?? `up for ${long(edge.uptime_s)}`),
    tile("Live calls", String(calls), "", `${edge.calls.inbound} in, ${edge.calls.outbound} out, ${edge.calls.waiting} waiting`),
    tile(
      "Trunks registered",
      registering.length ? `${there} of ${registering.length}` : "none to do",
      there < registering.length ? "bad" : "",
      registering.find((trunk) => trunk.registration !== "registered")?.why ?? "",
    ),
    tile("Audio on time", `${edge.pacer_p99_ms} ms`, edge.pacer_p99_ms > 20 ? "warn" : "", "99 of 100 packets, or better"),
  ];
}
