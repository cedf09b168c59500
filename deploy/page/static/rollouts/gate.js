import { Card, Table } from "../../components.js";
import { instant, number } from "../../format.js";
import { html } from "../../ui.js";
import { to } from "../router.js";
import { Verdict } from "./words.js";

const DECIDES = { abort: 0, hold: 1, promote: 2 };

function digits(value) {
  if (value === null || value === undefined) return "";
  return number(value, Number.isInteger(value) ? 0 : Math.abs(value) < 1 ? 3 : 2);
}

const COLUMNS = [
  { key: "says", words: "Says", cell: (finding) => html`<${Verdict} is=${finding.says} />` },
  { key: "name", words: "What", cell: (finding) => `${finding.name}${finding.hardware ? `, ${finding.hardware}` : ""}` },
  { key: "words", words: "In words", prose: true, cell: (finding) => finding.words },
  { key: "value", words: "Value", number: true, cell: (finding) => digits(finding.value) },
  { key: "limit", words: "Limit", number: true, cell: (finding) => digits(finding.limit) },
];

function Failed({ names }) {
  return html`<details open=${names.length <= 10}>
    <summary>Failed or silent: ${names.length}</summary>
    <ul class="names">${names.map((name) => html`<li key=${name}><a href=${to(["devices", name])}>${name}</a></li>`)}</ul>
  </details>`;
}

/** What stands between this wave and the next, with its evidence. */
export function Gate({ gate, judgedAt }) {
  if (!gate) return html`<${Card} title="Gate"><p class="quiet">Nothing has been judged yet.</p><//>`;
  const findings = [...gate.findings].sort((a, b) => DECIDES[a.says] - DECIDES[b.says]);
  const aside = html`<${Verdict} is=${gate.verdict} />${judgedAt && html`<span class="quiet small">since ${instant(judgedAt)}</span>`}`;
  return html`<${Card} title="Gate" aside=${aside}>
    <div class="stack">
      <p>${gate.words}</p>
      <${Table} caption="Findings of the gate" columns=${COLUMNS} rows=${findings}
        rowKey=${(finding) => `${finding.name} ${finding.hardware}`} empty="It found nothing to weigh yet." />
      ${gate.failed.length > 0 && html`<${Failed} names=${gate.failed} />`}
    </div>
  <//>`;
}
