// A recording: its waveform, a player under it, and a place to click.

import { fetched } from "./api.js";
import { el, fill, loading, trouble } from "./dom.js";
import { span } from "./words.js";

const LARGEST = 60 * 2 ** 20;

export function player(id, seconds, signal) {
  const path = `/v2/calls/${encodeURIComponent(id)}/recording`;
  const sound = el("audio", { controls: true, preload: "metadata", src: "/console" + path });
  const canvas = el("canvas", { class: "wave", role: "img", "aria-label": "Waveform of the recording, the far end above, the agent below", width: "1200", height: "160" });
  const holder = el("div", { class: "wave-box" }, loading("the recording"));
  const legend = el("p", { class: "muted" }, "Above: the far end. Below: the agent. Click to play from there.");
  let peaks = null;

  const draw = () => {
    if (!peaks) return;
    const style = getComputedStyle(canvas);
    const paint = canvas.getContext("2d");
    const { width, height } = canvas;
    const lane = height / peaks.length;
    const played = sound.duration ? (sound.currentTime / sound.duration) * width : 0;
    paint.clearRect(0, 0, width, height);
    peaks.forEach((lanePeaks, number) => {
      const middle = lane * (number + 0.5);
      lanePeaks.forEach((peak, x) => {
        paint.fillStyle = style.getPropertyValue(x < played ? "--accent" : number ? "--second" : "--muted");
        const tall = Math.max(1, peak * lane * 0.94);
        paint.fillRect(x, middle - tall / 2, 1, tall);
      });
    });
  };

  const load = async () => {
    fill(holder, loading("the recording"));
    try {
      const answer = await fetched(path, { signal });
      const size = Number(answer.headers.get("content-length") ?? 0);
      if (size > LARGEST) {
        answer.body.cancel();
        fill(holder, el("p", { class: "muted" }, "The recording is too long to be drawn here; it can be played and downloaded."));
        return;
      }
      const context = new OfflineAudioContext(1, 1, 44100);
      const decoded = await context.decodeAudioData(await answer.arrayBuffer());
      peaks = Array.from({ length: decoded.numberOfChannels }, (_, number) => peaksOf(decoded.getChannelData(number), canvas.width));
      canvas.dataset.seconds = decoded.duration.toFixed(2);
      canvas.dataset.loudest = peaks.map((lane) => Math.max(...lane).toFixed(3)).join(" ");
      fill(holder, canvas);
      draw();
    } catch (error) {
      if (!signal.aborted) fill(holder, trouble(error.status ? error : new Error("The recording cannot be read by this browser."), load));
    }
  };

  canvas.addEventListener("click", (event) => {
    if (!sound.duration) return;
    const box = canvas.getBoundingClientRect();
    sound.currentTime = ((event.clientX - box.left) / box.width) * sound.duration;
    sound.play().catch(() => null);
  });
  ["timeupdate", "seeked", "loadedmetadata"].forEach((name) => sound.addEventListener(name, draw));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw, { signal });
  signal.addEventListener("abort", () => sound.pause());
  load();
  return el("div", {}, holder, sound, legend, el("p", {}, el("a", { href: "/console" + path, download: `call-${id}` }, "Download the recording"), seconds ? ` (${span(seconds)})` : ""));
}

function peaksOf(samples, count) {
  const step = Math.max(1, samples.length / count);
  return Array.from({ length: count }, (_, place) => {
    let loudest = 0;
    const end = Math.min(samples.length, Math.floor((place + 1) * step));
    for (let each = Math.floor(place * step); each < end; each += 1) loudest = Math.max(loudest, Math.abs(samples[each]));
    return loudest;
  });
}
