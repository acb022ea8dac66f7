// Numbers of ours, and who answers them.

import { get } from "./api.js";
import { badge, el, fill, nothing, said, table } from "./dom.js";
import { registration } from "./words.js";

export async function numbersPage({ place, may, signal }) {
  const [{ phone_numbers: numbers }, found] = await Promise.all([
    get("/numbers", { limit: 1000 }, signal),
    may("agents:read") ? get("/assistants", { limit: 1000 }, signal) : null,
  ]);
  const agents = new Map();
  for (const agent of found?.assistants ?? []) {
    for (const { number } of agent.attached_phone_numbers) agents.set(number, [...(agents.get(number) ?? []), agent.name]);
  }
  const columns = [
    ["Number", (each) => el("strong", {}, said(each.number))],
    ["Name", (each) => said(each.friendly_name)],
    ["Agents", (each) => (found ? said((agents.get(each.number) ?? []).join(", "), "none") : each.is_available ? "none" : "one")],
    ["Provider", (each) => said(each.provider_name)],
    ["Registration", (each) => [badge(...registration(each.registration.state)), " ", said(each.registration.why, "")], "wide"],
    ["Comes from", (each) => (each.declared ? "the configuration" : "the API")],
  ];
  fill(place, numbers.length ? table("Numbers", columns, numbers) : nothing("There are no numbers", "Declare one in the configuration, or import one over the API."));
}
