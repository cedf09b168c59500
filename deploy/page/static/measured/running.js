import { TimeChart } from "../../charts.js";
import { Card } from "../../components.js";
import { instant, plural } from "../../format.js";
import { html } from "../../ui.js";
import { Document } from "../document.js";
import { useDocumentEvery } from "../live.js";

const EVERY_MS = 60_000;

const name = (release) => release || "all others";
const newest = (counts) => counts.findLast((count) => count !== null) ?? 0;

function Body({ document: { at, lines } }) {
  const [first] = lines;
  return html`<${TimeChart} summary=${`What devices run over time; ${name(first.release)} runs on ${plural(newest(first.counts), "pipeline")} now`}
    times=${at} digits=${0} timeWords=${(second) => instant(second * 1000)}
    series=${lines.map(({ release, counts }) => ({ words: name(release), values: counts }))} />`;
}

/** How many devices ran which release. */
export function Running({ address }) {
  const found = useDocumentEvery(address, EVERY_MS);
  const draw = (document) => document.lines.length ? html`<${Body} document=${document} />`
    : html`<p class="quiet">Nobody counted in this range: <code>shoal serve</code> does so while it reaches the broker.</p>`;
  return html`<${Card} title="Devices by release"><${Document} found=${found} what="the series" draw=${draw} /><//>`;
}
