// Listening to a live call: the edge sends a WAV file that grows, left the far end, right what it is told.

import { fetched } from "./api.js";
import { el, fill, said } from "./dom.js";

const [HEADER, AHEAD_S, FURTHEST_S] = [44, 0.25, 1.5];
const RESUME_MS = 1500; // without a loudspeaker, or while it may play nothing, a browser never resumes
const HEARD = "You hear both voices. The call's history says that you listened.";
const UNHEARD = "This browser plays no sound: it finds no loudspeaker, or may not use it. The levels go on, and the call's history says that you listened.";
let now = null;

export function stopListening() {
  now?.stop();
}

export async function listenTo(call) {
  stopListening();
  const place = document.getElementById("listening");
  const stopping = new AbortController();
  const context = new AudioContext();
  const volume = new GainNode(context, { gain: 0.9 });
  const heard = new AnalyserNode(context, { fftSize: 2048 });
  volume.connect(heard).connect(context.destination);
  const meters = ["Far end", "Agent"].map((name) => meter(name));
  const told = el("p", { role: "status", class: "muted" }, "Connecting …");
  const stop = () => {
    if (now?.stop !== stop) return;
    now = null;
    stopping.abort();
    context.close();
    fill(place);
  };
  now = { stop };
  const bar = el(
    "section",
    { class: "bar", "aria-label": "Listening to a call" },
    el("div", { class: "grow" }, el("strong", {}, "Listening: ", said(call.phone_number_from), " to ", said(call.phone_number_to)), told),
    meters.map((each) => each.element),
    el(
      "label",
      { class: "volume" },
      "Volume",
      el("input", { type: "range", min: "0", max: "100", value: "90", oninput: (event) => (volume.gain.value = event.target.value / 100) }),
    ),
    el("button", { type: "button", onclick: stop }, "Stop listening"),
  );
  fill(place, bar);
  const levels = new Float32Array(heard.fftSize);
  const watching = setInterval(() => {
    heard.getFloatTimeDomainData(levels);
    bar.dataset.rms = Math.max(Number(bar.dataset.rms ?? 0) * 0.9, rms(levels)).toFixed(4);
  }, 100);
  stopping.signal.addEventListener("abort", () => clearInterval(watching));
  try {
    await Promise.race([context.resume(), new Promise((done) => setTimeout(done, RESUME_MS))]);
    const answer = await fetched(`/v2/calls/${encodeURIComponent(call.call_id)}/listen?channels=2`, { signal: stopping.signal });
    const tell = () => fill(told, context.state === "running" ? HEARD : UNHEARD);
    context.addEventListener("statechange", () => now?.stop === stop && tell());
    tell();
    await play(answer.body.getReader(), context, volume, meters);
    fill(told, "The call is over.");
  } catch (error) {
    if (!stopping.signal.aborted) fill(told, error.message);
  }
}

async function play(reader, context, out, meters) {
  let waiting = new Uint8Array(0);
  let rate = 0;
  let next = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const both = new Uint8Array(waiting.length + value.length);
    both.set(waiting);
    both.set(value, waiting.length);
    waiting = both;
    if (!rate) {
      if (waiting.length < HEADER) continue;
      rate = new DataView(waiting.buffer).getUint32(24, true);
      waiting = waiting.slice(HEADER);
    }
    const frames = Math.floor(waiting.length / 4);
    if (!frames) continue;
    const buffer = new AudioBuffer({ length: frames, numberOfChannels: 1, sampleRate: rate });
    const samples = new DataView(waiting.buffer, waiting.byteOffset, frames * 4);
    const mixed = buffer.getChannelData(0);
    const loud = [0, 0];
    for (let frame = 0; frame < frames; frame += 1) {
      const [left, right] = [samples.getInt16(frame * 4, true) / 32768, samples.getInt16(frame * 4 + 2, true) / 32768];
      mixed[frame] = Math.max(-1, Math.min(1, left + right));
      loud[0] += left * left;
      loud[1] += right * right;
    }
    waiting = waiting.slice(frames * 4);
    meters.forEach((each, side) => each.show(Math.sqrt(loud[side] / frames)));
    if (context.state === "closed") return;
    if (context.state !== "running") continue; // its time stands still: what it is given would wait for ever
    const late = next < context.currentTime;
    if (late || next > context.currentTime + FURTHEST_S) next = context.currentTime + AHEAD_S;
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(out);
    source.start(next);
    next += buffer.duration;
  }
}

function meter(name) {
  const fillBar = el("span", { class: "level" });
  const element = el("div", { class: "meter", role: "meter", "aria-label": `Level of the ${name.toLowerCase()}`, "aria-valuemin": "-60", "aria-valuemax": "0", "aria-valuenow": "-60" }, el("span", { class: "muted" }, name), el("span", { class: "rail" }, fillBar));
  const show = (level) => {
    const decibels = Math.max(-60, Math.min(0, 20 * Math.log10(level + 1e-6)));
    element.setAttribute("aria-valuenow", decibels.toFixed(0));
    fillBar.style.inlineSize = `${((decibels + 60) / 60) * 100}%`;
  };
  return { element, show };
}

function rms(samples) {
  return Math.sqrt(samples.reduce((sum, each) => sum + each * each, 0) / samples.length);
}
