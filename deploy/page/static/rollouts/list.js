import { Table } from "../../components.js";
import { instant } from "../../format.js";
import { html } from "../../ui.js";
import { Document } from "../document.js";
import { useDocument } from "../live.js";
import { to } from "../router.js";
import { State, barred, counted } from "./words.js";

const COLUMNS = [
  { key: "name", words: "Rollout", cell: (each) => html`<a href=${to(["rollouts", each.name])}>${each.name}</a>` },
  { key: "release", words: "Release", cell: (each) => each.release },
  { key: "state", words: "State", cell: (each) => html`<${State} is=${each.state} />` },
  { key: "words", words: "Where it stands", cell: (each) => each.words },
  { key: "devices", words: "Devices", cell: (each) => counted(each.standings) || (each.exposed ? `${each.exposed} exposed` : each.outcome ? "" : "none yet") },
  { key: "stream", words: "Stream", cell: (each) => each.stream },
  { key: "started", words: "Begun", cell: (each) => html`<time dateTime=${each.started_at}>${instant(each.started_at)}</time> by ${each.by}` },
];

const None = () => html`<div class="note stack">
  <p>Nothing has been rolled out yet.</p>
  <p>Begin here, or with <code>shoal rollout start RELEASE --waves 1,5%,25%,100%</code>.</p>
</div>`;

export function Rollouts({ me }) {
  const found = useDocument("api/rollouts", (event) => event.type === "rollout");
  const why = barred(me, "order");
  return html`<div class="stack">
    <div class="row">
      ${me.may.includes("order") ? html`<a class="button first" href=${to(["start"])}>Start a rollout</a>` : why && html`<p class="quiet">${why}</p>`}
    </div>
    <${Document} found=${found} what="the rollouts" draw=${({ rollouts }) => rollouts.length === 0 ? html`<${None} />`
      : html`<${Table} caption="Rollouts, the newest first" columns=${COLUMNS} rows=${rollouts} rowKey=${(each) => each.name} />`} />
  </div>`;
}
