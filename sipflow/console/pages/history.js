// Calls that are over, and those that are not, by every filter that the edge has.

import { get } from "./api.js";
import { badge, el, fill, link, loading, nothing, said, table, trouble } from "./dom.js";
import { party } from "./live.js";
import { dots } from "./plot.js";
import { moment, mos, span, status, STATUSES } from "./words.js";

const PER_PAGE = 25;

export async function historyPage({ place, query, signal }) {
  const results = el("div");
  const form = filters(query);
  fill(place, form, results);
  await load();

  async function load() {
    const offset = Number(query.get("offset") ?? 0) || 0;
    fill(results, loading("calls"));
    try {
      const wanted = Object.fromEntries([...query].filter(([name]) => name !== "offset"));
      const { calls, pagination } = await get("/calls", { ...wanted, limit: PER_PAGE, offset }, signal);
      fill(results, calls.length ? shown(calls, pagination) : none());
    } catch (error) {
      if (!signal.aborted) fill(results, trouble(error, load));
    }
  }

  function none() {
    return [...query].length
      ? nothing("No call is like that", "Take a filter away, or look further back.")
      : nothing("No calls yet", "Every call is kept here once it has come.");
  }

  function shown(calls, { total_records: total, offset }) {
    const last = offset + calls.length;
    const turn = (to, text) => {
      const there = new URLSearchParams(query);
      there.set("offset", to);
      return link(`#/history?${there}`, text);
    };
    return [
      el("p", { class: "muted", role: "status" }, `${offset + 1} to ${last} of ${total}`),
      table("Calls, the newest first", COLUMNS, calls),
      el(
        "nav",
        { class: "row", "aria-label": "Pages of calls" },
        offset > 0 ? turn(Math.max(0, offset - PER_PAGE), "Newer") : null,
        last < total ? turn(last, "Older") : null,
      ),
      qualityOf(calls),
    ];
  }
}

const COLUMNS = [
  ["When", (call) => link(`#/call/${encodeURIComponent(call.call_id)}`, moment(call.sipflow.started_at))],
  ["State", (call) => badge(...status(call.call_status))],
  ["From", (call) => party(call.phone_number_from, call.type_of_call === "inbound" ? call.name : "")],
  ["To", (call) => party(call.phone_number_to, call.type_of_call === "outbound" ? call.name : "")],
  ["Agent", (call) => said(call.model_id)],
  ["Trunk", (call) => said(call.sipflow.trunk)],
  ["Length", (call) => (call.sipflow.answered_at ? span(call.duration) : "–"), "number"],
  ["Quality", (call) => mos(call.sipflow.quality?.mos)[0]],
  ["Why", (call) => said(call.sipflow.ending?.why ?? "", "goes on"), "wide"],
];

function qualityOf(calls) {
  const heard = calls.filter((call) => call.sipflow.quality).reverse();
  if (heard.length < 2) return null;
  const of = (name) => heard.map((call) => ({ value: call.sipflow.quality[name], title: moment(call.sipflow.started_at), href: `#/call/${encodeURIComponent(call.call_id)}` }));
  return el(
    "section",
    { class: "panel", "aria-labelledby": "quality-of" },
    el("h2", { id: "quality-of" }, "How these calls sounded"),
    el("div", { class: "plots" }, [
      dots("Opinion score (1 to 4.5)", of("mos"), { low: 1, high: 4.5 }),
      dots("Packets lost (%)", of("loss_percent"), { low: 0, least: 1 }),
      dots("Jitter (ms)", of("jitter_ms"), { low: 0, least: 5 }),
    ]),
  );
}

function filters(query) {
  const field = (label, name, attributes) => {
    const control = el("input", { id: `f-${name}`, name, value: query.get(name) ?? "", ...attributes });
    return el("div", { class: "field" }, el("label", { for: `f-${name}` }, label), control);
  };
  const choice = (label, name, options) => {
    const chosen = query.get(name) ?? "";
    const control = el(
      "select",
      { id: `f-${name}`, name },
      el("option", { value: "" }, "any"),
      options.map((option) => el("option", { value: option, selected: option === chosen }, status(option)[0])),
    );
    return el("div", { class: "field" }, el("label", { for: `f-${name}` }, label), control);
  };
  const find = (event) => {
    event.preventDefault();
    const said = [...new FormData(form)].filter(([, value]) => value !== "");
    const there = `#/history?${new URLSearchParams(said)}`;
    if (location.hash === there) window.dispatchEvent(new Event("hashchange"));
    else location.hash = there;
  };
  const more = ["call_status", "direction", "model_id", "trunk", "from_date", "to_date", "duration_min"].some((name) => query.get(name));
  const form = el(
    "form",
    { class: "panel filters", role: "search", onsubmit: find },
    el(
      "div",
      { class: "fields" },
      field("Number, call or SIP Call-ID", "text", { type: "search", placeholder: "part of it will do" }),
      el("button", { type: "submit" }, "Search"),
    ),
    el(
      "details",
      { open: more },
      el("summary", {}, "More filters"),
      el(
        "div",
        { class: "fields" },
        choice("State", "call_status", STATUSES),
        choice("Direction", "direction", ["inbound", "outbound"]),
        field("Agent", "model_id", { type: "text" }),
        field("Trunk", "trunk", { type: "text" }),
        field("From", "from_date", { type: "date" }),
        field("Until", "to_date", { type: "date" }),
        field("At least seconds", "duration_min", { type: "number", min: "0", step: "1" }),
        el("div", { class: "field" }, link("#/history", "Clear")),
      ),
    ),
  );
  return form;
}
