import { TimeChart } from "../../charts.js";
import { Badge, Card, Table } from "../../components.js";
import { instant, number, percent } from "../../format.js";
import { html } from "../../ui.js";
import { Document } from "../document.js";
import { useDocumentEvery } from "../live.js";

const DRAWN = 5;
const EVERY_MS = 60_000;

const DRIFTS = {
  "too-few": ["", "too few frames to tell"], steady: ["good", "steady"], shifting: ["warn", "shifting"], drifted: ["bad", "drifted"],
};

const REFERENCES = {
  "first-day": "its first day here", "same-hours": "the same hours of its first day here", given: "the chosen reference",
};

const name = (label) => label || "all others";

const COLUMNS = [
  { key: "label", words: "Class", cell: (line) => html`<bdi>${name(line.label)}</bdi>` },
  { key: "whole", words: "Share of the range", number: true, cell: (line) => percent(line.whole, 1) },
  { key: "reference", words: "Share of the reference", number: true, cell: (line) => percent(line.reference, 1) },
  { key: "difference", words: "Difference", number: true, cell: (line) => `${line.whole >= line.reference ? "+" : ""}${number((line.whole - line.reference) * 100, 1)} points` },
];

function Drift({ is, children }) {
  const [tone, words] = DRIFTS[is] ?? ["", is];
  return html`<${Badge} tone=${tone}>${children}: ${words}<//>`;
}

const index = (value) => (value === null ? "not known" : number(value, 3));

function inWords({ psi_whole: psi, psi_noise: noise, psi_confidence: confidence, reference }) {
  if (reference?.kind === "to-come")
    return `What it names is held against its first day here, which lasts until ${instant(reference.until)}: until then nothing is said of drift.`;
  const against = reference
    ? `against ${REFERENCES[reference.kind] ?? reference.kind} (${instant(reference.since)} to ${instant(reference.until)}, ${number(reference.frames)} frames)`
    : "and there is nothing to hold it against";
  const chance = noise === null ? "" : `, where chance alone exceeds ${index(noise)} once in a hundred times`;
  return `Population stability index ${index(psi)}${chance}; of the confidence ${index(confidence)}; ${against}. From 0.1 on look at what the cameras see, from 0.25 on it is another picture.`;
}

function Body({ document }) {
  const drawn = document.labels.slice(0, DRAWN);
  return html`<div class="stack">
    <div class="row"><${Drift} is=${document.drift}>Classes<//><${Drift} is=${document.drift_confidence}>Confidence<//></div>
    <p>${inWords(document)}</p>
    <div class="columns">
      <div class="stack"><h3>What it names</h3>
        <${TimeChart} summary=${`Share of the classes over time, most of all ${name(drawn[0].label)} with ${percent(drawn[0].whole, 1)}`}
          times=${document.at} top=${100} unit=" %" timeWords=${(at) => instant(at * 1000)}
          series=${drawn.map((line) => ({ words: name(line.label), values: line.shares.map((share) => (share === null ? null : share * 100)) }))} /></div>
      <div class="stack"><h3>Drift</h3>
        <${TimeChart} summary="Population stability index over time" times=${document.at} digits=${3} top=${0.3} timeWords=${(at) => instant(at * 1000)}
          series=${[{ words: "population stability index", values: document.psi }]} /></div>
    </div>
    <${Table} caption="Classes, the most frequent first" columns=${COLUMNS} rows=${document.labels} rowKey=${(line) => line.label} height="24rem" />
  </div>`;
}

/** What one release names, over time, and how far that is from what it named at first. */
export function Classes({ release, address }) {
  const found = useDocumentEvery(address, EVERY_MS);
  const draw = (document) => document.labels.length ? html`<${Body} document=${document} />`
    : html`<p class="quiet">It named nothing in this range.</p>`;
  return html`<${Card} title=${`Classes of ${release}`}><${Document} found=${found} what="the series" draw=${draw} /><//>`;
}
