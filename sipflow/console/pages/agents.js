// Agents: what answers calls, and how.

import { get } from "./api.js";
import { el, fill, nothing, said, table } from "./dom.js";

export async function agentsPage({ place, signal }) {
  const { assistants } = await get("/assistants", { limit: 1000 }, signal);
  const columns = [
    ["Agent", (agent) => el("strong", {}, said(agent.name))],
    ["Id", (agent) => el("code", {}, agent.model_id)],
    ["For calls", (agent) => said(agent.type)],
    ["Handler", (agent) => el("code", {}, agent.handler)],
    ["Numbers", (agent) => said(agent.attached_phone_numbers.map((each) => each.number).join(", "), "none")],
    ["Description", (agent) => said(agent.description), "wide"],
    ["Comes from", (agent) => (agent.declared ? "the configuration" : "the API")],
  ];
  fill(place, assistants.length ? table("Agents", columns, assistants) : nothing("There are no agents", "Declare one in the configuration, or make one over the API."));
}
