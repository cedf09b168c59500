import { get } from "../api.js";
import { Button, Table } from "../components.js";
import { instant, number, plural, sentence } from "../format.js";
import { html, useState } from "../ui.js";
import { Document } from "./document.js";
import { useDocument } from "./live.js";
import { amend, to } from "./router.js";

const LIMIT = 100;

const COLUMNS = [
  { key: "number", words: "Line", number: true, cell: (line) => number(line.number) },
  { key: "at", words: "When", cell: (line) => html`<time dateTime=${line.at}>${instant(line.at)}</time>` },
  { key: "by", words: "By", cell: (line) => line.by },
  { key: "kind", words: "What", cell: (line) => line.kind },
  { key: "rollout", words: "Rollout", cell: (line) => line.rollout && html`<a href=${to(["rollouts", line.rollout])}>${line.rollout}</a>` },
  { key: "words", words: "In words", prose: true, cell: (line) => line.what },
];

/** Lines of the ledger, wherever they are shown. */
export function Lines({ lines, caption, rollout = true, empty, height }) {
  const columns = rollout ? COLUMNS : COLUMNS.filter(({ key }) => key !== "rollout");
  return html`<${Table} caption=${caption} columns=${columns} rows=${lines} rowKey=${(line) => line.number} empty=${empty} height=${height} />`;
}

function Verified() {
  const [found, setFound] = useState(null);
  const [busy, setBusy] = useState(false);
  const verify = async () => {
    setBusy(true);
    try {
      setFound(await get("api/audit/verify"));
    } catch (error) {
      setFound({ whole: false, words: sentence(error.message) });
    }
    setBusy(false);
  };
  return html`<div class="stack">
    <div class="row"><${Button} onClick=${verify} disabled=${busy}>Verify every line<//>
      <span class="quiet">as <code>shoal audit verify</code> does</span></div>
    <div role="status">${found && html`<p class="note ${found.whole ? "good" : "bad"}">${found.words}${
      found.head ? html` Head: <code>${found.head}</code>` : ""}</p>`}</div>
  </div>`;
}

export function AuditLog({ query }) {
  const address = `api/audit?limit=${LIMIT}${query.before ? `&before=${query.before}` : ""}`;
  const found = useDocument(address, (event) => event.type === "line" && !query.before);
  return html`<${Document} found=${found} what="the ledger" draw=${(document) => html`<${Page} query=${query} ...${document} />`} />`;
}

function Page({ lines, total, before, query }) {
  return html`<div class="stack">
    <p>${plural(total, "line")}, each with a hash over the one before it; the newest first.</p>
    <${Verified} />
    <${Lines} lines=${lines} caption="Lines of the ledger" empty="Nothing has been decided yet: shoal rollout start RELEASE." />
    <div class="row">
      ${query.before && html`<${Button} onClick=${() => amend({ before: "" })}>Newest<//>`}
      ${before !== null && html`<${Button} onClick=${() => amend({ before: String(before) })}>Older<//>`}
    </div>
  </div>`;
}
