// Asks the edge. The session is in a cookie that no script can read; a header says that it was us who asked.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const OURS = { "X-Sipflow-Console": "1" };

export async function fetched(path, options = {}) {
  let answer;
  try {
    answer = await fetch("/console" + path, { ...options, headers: { ...OURS, ...options.headers }, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "sipflow cannot be reached. Is it running?");
  }
  if (answer.ok) return answer;
  const sentence = await answer.json().then((said) => said.detail.description, () => `the answer was ${answer.status}`);
  if (answer.status === 401 && path !== "/session") window.dispatchEvent(new Event("signed-out"));
  throw new Refused(answer.status, sentence);
}

export async function ask(path, { method = "GET", body, signal } = {}) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await fetched(path, { method, signal, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  return answer.status === 204 ? null : answer.json();
}

export async function get(path, fields = {}, signal = undefined) {
  const asked = Object.entries(fields).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(asked).toString();
  const said = await ask("/v2" + path + (query ? "?" + query : ""), { signal });
  return said.response ?? said;
}

// Follows a stream of events for as long as `signal` is not aborted, through every interruption.
export function follow(path, { signal, happened, state }) {
  let source, timer;
  const open = () => {
    source = new EventSource("/console/v2" + path);
    source.onopen = () => state(true);
    source.onmessage = (event) => happened(JSON.parse(event.data));
    source.addEventListener("lost", () => happened(null));
    source.addEventListener("over", () => source.close());
    source.onerror = () => {
      state(false);
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, 4000);
    };
  };
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    source.close();
  });
  open();
}
