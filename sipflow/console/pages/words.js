// Values as people write them.

export function clock(at) {
  return at ? new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" }) : "–";
}

export function moment(at) {
  if (!at) return "–";
  const day = new Date(at);
  const today = day.toDateString() === new Date().toDateString();
  return (today ? "today" : day.toLocaleDateString([], { year: "numeric", month: "short", day: "numeric" })) + " " + clock(at);
}

export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

export function long(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

const STATUS = {
  registered: ["expected", ""],
  pending: ["pending", ""],
  ringing: ["ringing", "warn"],
  "in-progress": ["in progress", "good"],
  completed: ["completed", "good"],
  busy: ["busy", "warn"],
  "no-answer": ["no answer", "warn"],
  canceled: ["cancelled", ""],
  "user-canceled": ["cancelled", ""],
  failed: ["failed", "bad"],
};

export function status(word) {
  return STATUS[word] ?? [word || "unknown", ""];
}

export const STATUSES = Object.keys(STATUS);

export function registration(word) {
  const kinds = { registered: "good", failed: "bad", registering: "warn", unregistering: "warn" };
  return [word === "off" ? "does not register" : word, kinds[word] ?? ""];
}

export function mos(value) {
  if (value === null || value === undefined) return ["–", ""];
  const kind = value >= 4 ? "good" : value >= 3.6 ? "" : value >= 3.1 ? "warn" : "bad";
  const word = value >= 4 ? "good" : value >= 3.6 ? "fair" : value >= 3.1 ? "poor" : "bad";
  return [`${value.toFixed(2)} ${word}`, kind];
}

export const FAULT = {
  nobody: "Nothing to do: it ended as calls do.",
  remote: "The far end has to act.",
  local: "It is on our side: the agent or its settings.",
  network: "Look at the network between us and the far end.",
};
