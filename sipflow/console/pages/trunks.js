// Accounts at providers and PBXs: whether calls reach us through them, and if not, why.

import { get } from "./api.js";
import { badge, el, fill, nothing, said, table, trouble } from "./dom.js";
import { moment, registration } from "./words.js";

const EVERY_MS = 5000;

export async function trunksPage({ place, may, signal }) {
  let shown = "";
  const load = async () => {
    const [{ trunks }, edge] = await Promise.all([get("/trunks", { limit: 1000 }, signal), may("status:read") ? get("/status", {}, signal) : null]);
    const healths = new Map((edge?.trunks ?? []).map((each) => [each.name, each]));
    const rows = trunks.map((trunk) => ({ ...trunk, health: healths.get(trunk.name) }));
    rows.sort((one, other) => (one.registration.state !== "failed") - (other.registration.state !== "failed") || one.name.localeCompare(other.name));
    if (shown === JSON.stringify(rows)) return;
    shown = JSON.stringify(rows);
    fill(place, rows.length ? table("Trunks", COLUMNS, rows) : nothing("There are no trunks", "Declare one in the configuration, or make one over the API."));
  };
  const wrong = (error) => {
    shown = "";
    if (!signal.aborted) fill(place, trouble(error, () => load().catch(wrong)));
  };
  await load();
  const timer = setInterval(() => load().catch(wrong), EVERY_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}

const COLUMNS = [
  ["Trunk", (trunk) => el("strong", {}, said(trunk.name))],
  ["Registration", (trunk) => badge(...registration(trunk.registration.state))],
  ["In words", (trunk) => [said(trunk.registration.why), trunk.registration.retry_at ? el("span", { class: "muted" }, ` Next try ${moment(trunk.registration.retry_at)}.`) : null], "wide"],
  ["Goes to", (trunk) => [said(trunk.outbound_proxy || trunk.sip_domain), trunk.username ? el("span", { class: "muted" }, " as ", said(trunk.username)) : null]],
  ["Far end", (trunk) => farEnd(trunk.health)],
  ["We are seen as", (trunk) => said(trunk.health?.seen_as ?? "")],
];

function farEnd(health) {
  if (!health?.far_end) return el("span", { class: "muted" }, "not asked");
  const kind = { up: "good", down: "bad" }[health.far_end] ?? "";
  return [badge(health.far_end, kind), health.round_trip_ms === null ? null : ` ${health.round_trip_ms} ms`];
}
