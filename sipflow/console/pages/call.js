// One call: how it went and why, what was said in SIP, how it sounded, and all of it to take away.

import { follow, get } from "./api.js";
import { badge, el, facts, fill, link, loading, nothing, said, section, trouble } from "./dom.js";
import { ladder } from "./ladder.js";
import { listenTo } from "./listen.js";
import { hangUp } from "./live.js";
import { gauge, line } from "./plot.js";
import { player } from "./wave.js";
import { clock, FAULT, moment, mos, span, status } from "./words.js";

const EVERY_MS = 2000;

export async function callPage({ place, heading, id, may, signal, show }) {
  const path = `/calls/${encodeURIComponent(id)}`;
  const one = async () => (await get(path, {}, signal)).calls[0];
  const call = await one();
  const ours = call.sipflow;
  const live = ours.live;
  fill(heading, said(call.phone_number_from, "somebody"), " to ", said(call.phone_number_to, "somebody"));
  const top = el("div", { class: "row" });
  const quality = el("div", { class: "gauges" });
  const plots = el("div", { class: "plots", "data-points": "0" });
  const ladderPlace = el("div", {}, loading("the messages"));
  const eventsPlace = el("div", {}, loading("the events"));
  draw(call);
  fill(
    place,
    top,
    section("What happened", explained(call), facts(factsOf(call))),
    section("Sound", quality, plots, nothingHeard(call)),
    recordingOf(call),
    section("SIP messages", ladderPlace),
    section("Events", eventsPlace),
    section("Take it away", downloads(path)),
  );
  const reading = {};
  let drawn = 0;
  const drawLadder = (trace) => {
    if (drawn && drawn === trace.messages.length) return null;
    drawn = trace.messages.length;
    return drawn ? ladder(trace.messages, reading) : nothing("There are no messages", trace.why);
  };
  const later = [part(ladderPlace, () => get(path + "/trace", {}, signal), drawLadder), part(eventsPlace, () => get(path + "/events", {}, signal), drawEvents), plotted()];
  if (live) watch();
  await Promise.all(later);

  function draw(now) {
    const [word, kind] = status(now.status);
    const buttons = now.sipflow.live
      ? [
          may("recordings:read") && now.sipflow.answered_at ? el("button", { type: "button", class: "quiet", onclick: () => listenTo(now) }, "Listen") : null,
          may("calls:write") ? el("button", { type: "button", class: "quiet bad", onclick: () => hangUp(now) }, "Hang up") : null,
        ]
      : [];
    const key = `${word} ${buttons.length}`;
    if (top.dataset.key !== key) fill(top, badge(word, kind), el("span", { class: "muted" }, now.type_of_call, ", ", moment(now.sipflow.started_at)), buttons);
    top.dataset.key = key; // what has not changed keeps its place, and the focus
    fill(quality, gauges(now.sipflow.quality));
  }

  function watch() {
    const again = async () => {
      const fresh = await one().catch(() => null);
      if (fresh === null || signal.aborted) return;
      plotted();
      if (fresh.sipflow.live && Boolean(fresh.sipflow.answered_at) === Boolean(ours.answered_at)) draw(fresh);
      else show();
    };
    const timer = setInterval(again, EVERY_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
    let settle = 0;
    follow(path + "/events/stream", {
      signal,
      state: () => null,
      happened: () => {
        clearTimeout(settle);
        settle = setTimeout(() => {
          part(eventsPlace, () => get(path + "/events", {}, signal), drawEvents);
          part(ladderPlace, () => get(path + "/trace", {}, signal), drawLadder);
          again();
        }, 400);
      },
    });
  }

  async function plotted() {
    const found = await get(path + "/quality", {}, signal).catch(() => null);
    if (found === null || signal.aborted || !found.points.length) return;
    const of = (name) => found.points.map((point) => ({ at: Date.parse(point.at), value: point[name] }));
    plots.dataset.points = found.points.length;
    fill(plots, [
      line("Opinion score (1 to 4.5)", of("mos"), { low: 1, high: 4.5 }),
      line("Packets lost (%)", of("loss_percent"), { low: 0, least: 1 }),
      line("Jitter (ms)", of("jitter_ms"), { low: 0, least: 5 }),
      line("Packets that came", of("packets"), { low: 0, least: 50 }),
    ]);
  }

  function recordingOf({ recording_duration: seconds }) {
    if (!ours.recording) return null;
    if (live) return section("Recording", nothing("It is being recorded", "The recording can be heard when the call is over."));
    if (!may("recordings:read")) return section("Recording", nothing("There is a recording", "Your token is not for recordings (recordings:read)."));
    return section("Recording", player(call.call_id, seconds, signal));
  }

  async function part(where, load, drawing) {
    try {
      const found = drawing(await load());
      if (found && !signal.aborted) fill(where, found);
    } catch (error) {
      if (!signal.aborted) fill(where, trouble(error, () => part(where, load, drawing)));
    }
  }
}

function explained(call) {
  const { why, ending, attempts } = call.sipflow;
  return [
    ending ? el("p", { class: "lead" }, said(ending.why)) : el("p", { class: "lead" }, "It goes on."),
    ending ? el("p", { class: "muted" }, FAULT[ending.fault] ?? "") : null,
    why.length ? el("ol", { class: "steps" }, why.map((sentence) => el("li", {}, said(sentence)))) : null,
    attempts.length
      ? [
          el("h3", {}, "Attempts"),
          el("ol", { class: "steps" }, attempts.map((each) => el("li", {}, badge(String(each.sip_status || "–"), each.sip_status >= 300 ? "bad" : "good"), " ", said(each.target), ": ", said(each.why, "no answer yet")))),
        ]
      : null,
  ];
}

function factsOf(call) {
  const ours = call.sipflow;
  const ending = ours.ending;
  return [
    ["Name", call.name ? said(call.name) : ""],
    ["Agent", said(call.model_id)],
    ["Trunk", said(ours.trunk)],
    ["Number of ours", said(ours.number)],
    ["Codec", ours.codec],
    ["Rang", ours.ringing_at ? clock(ours.ringing_at) : ""],
    ["Answered", ours.answered_at ? clock(ours.answered_at) : "never"],
    ["Ended", ours.ended_at ? clock(ours.ended_at) : ""],
    ["Length", ours.answered_at ? span(call.duration) : ""],
    ["Ended by", ending ? ending.by : ""],
    ["SIP status", ending?.sip_status ? String(ending.sip_status) : ""],
    ["Call", el("code", {}, call.call_id)],
    ["SIP Call-ID", ours.sip_call_id ? el("code", {}, ours.sip_call_id) : ""],
    ...Object.entries(call.prompt_variables).slice(0, 20).map(([name, value]) => [name, said(value)]),
  ];
}

function gauges(quality) {
  if (!quality) return [];
  const [opinion, kind] = mos(quality.mos);
  return [
    gauge({ title: "Opinion score", text: opinion, share: (quality.mos - 1) / 3.5, kind }),
    gauge({ title: "Lost", text: `${quality.loss_percent.toFixed(1)} %`, share: quality.loss_percent / 10, kind: quality.loss_percent > 3 ? "bad" : quality.loss_percent > 1 ? "warn" : "good" }),
    gauge({ title: "Jitter", text: `${quality.jitter_ms.toFixed(1)} ms`, share: quality.jitter_ms / 60, kind: quality.jitter_ms > 50 ? "bad" : quality.jitter_ms > 30 ? "warn" : "good" }),
    quality.round_trip_ms === null
      ? null
      : gauge({ title: "Round trip", text: `${quality.round_trip_ms.toFixed(0)} ms`, share: quality.round_trip_ms / 500, kind: quality.round_trip_ms > 300 ? "bad" : "good" }),
  ];
}

function nothingHeard(call) {
  return call.sipflow.quality ? null : el("p", { class: "muted" }, "Nothing of the far end was heard.");
}

function drawEvents({ events }) {
  if (!events.length) return nothing("Nothing was noted", "");
  return el(
    "ol",
    { class: "events" },
    events.map((each) => el("li", {}, el("time", { datetime: each.at }, clock(each.at)), el("strong", {}, each.name.replaceAll("_", " ")), el("span", { class: "muted" }, said(detailsOf(each.details), "")))),
  );
}

function detailsOf(details) {
  return Object.entries(details).map(([name, value]) => `${name}: ${shownAs(name, value)}`).join(", ");
}

function downloads(path) {
  const to = (end, text, name) => el("a", { href: `/console/v2${path}${end}`, download: name, class: "button quiet" }, text);
  return [
    el("div", { class: "row" }, to("/evidence", "Evidence bundle (zip)", ""), to("/pcap", "Capture (pcap)", ""), to("/trace?format=text", "Ladder (text)", "ladder.txt")),
    el("p", { class: "muted" }, "The bundle has ladder, messages, capture, record, events, statistics and, if your token is for recordings, the recording. ", link("#/history", "Back to the history")),
  ];
}

function shownAs(name, value) {
  if (name === "digit" && value === null) return "hidden";
  return typeof value === "object" ? JSON.stringify(value) : value;
}
