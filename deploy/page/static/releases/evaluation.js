import { Card, Table } from "../../components.js";
import { milliseconds, number, percent, sentence, shortDigest } from "../../format.js";
import { html } from "../../ui.js";

const SHARES = /^(edgetpu_)?(top\d|agreement|confidence)/;

/** A figure of the manifest: shares as percent, the rest as numbers. */
const figure = (name, value) => (SHARES.test(name) ? percent(value, 1) : number(value, Number.isInteger(value) ? 0 : 4));

const rate = (of) => (of ? `${percent(of.share, 1)} (${percent(of.low, 1)} to ${percent(of.high, 1)})` : "not labelled");

const MODELS = [
  { key: "file", words: "Model", cell: ({ evaluation }) => evaluation.model.file },
  { key: "arithmetic", words: "Arithmetic", cell: ({ evaluation }) => `${evaluation.model.arithmetic}, ${evaluation.model.delegate}` },
  { key: "top1", words: "First is right", number: true, cell: ({ evaluation }) => rate(evaluation.accuracy?.top1) },
  { key: "top5", words: "In the first five", number: true, cell: ({ evaluation }) => rate(evaluation.accuracy?.top5) },
  { key: "agree", words: "Agrees", number: true, cell: ({ evaluation }) => (evaluation.beside ? rate(evaluation.beside.same_first) : "the reference") },
  { key: "confidence", words: "Confidence", number: true, cell: ({ evaluation }) => percent(evaluation.confidence_mean, 1) },
  { key: "invoke", words: "invoke() p50 / p95", number: true, cell: ({ latency }) => `${milliseconds(latency.invoke_p50_ms)} / ${milliseconds(latency.invoke_p95_ms)}` },
  { key: "digest", words: "Digest", cell: ({ evaluation }) => html`<code>${shortDigest(evaluation.model.digest)}</code>` },
];

const share = (part, of) => (of ? percent(part / of, 1) : "none");

const CLASSES = [
  { key: "label", words: "Class", cell: (each) => html`<bdi>${each.label}</bdi>` },
  { key: "support", words: "Pictures", number: true, cell: (each) => number(each.support) },
  { key: "recall", words: "Found (recall)", number: true, cell: (each) => share(each.right, each.support) },
  { key: "precision", words: "Rightly named (precision)", number: true, cell: (each) => share(each.right, each.named) },
];

const CONFUSED = [
  { key: "truth", words: "Is", cell: (each) => html`<bdi>${each.truth}</bdi>` },
  { key: "named", words: "Was named", cell: (each) => html`<bdi>${each.named}</bdi>` },
  { key: "count", words: "Pictures", number: true, cell: (each) => number(each.count) },
];

function PerClass({ accuracy }) {
  if (!accuracy) return null;
  const worst = [...accuracy.classes].sort((a, b) => a.right / (a.support || 1) - b.right / (b.support || 1));
  return html`<div class="columns">
    <div class="stack"><h3>Per class, the worst first</h3>
      <${Table} caption="Per class" columns=${CLASSES} rows=${worst} rowKey=${(each) => each.label} height="22rem" /></div>
    <div class="stack"><h3>Confused</h3>
      <${Table} caption="Confused classes" columns=${CONFUSED} rows=${accuracy.confused} rowKey=${(each) => `${each.truth}\n${each.named}`}
        height="22rem" empty="No class was taken for another." /></div>
  </div>`;
}

const PAIRS = (models) => [
  { key: "pair", words: "Models", cell: (pair) => `${models[pair.first].evaluation.model.file} and ${models[pair.second].evaluation.model.file}` },
  { key: "difference", words: "Difference", number: true, cell: (pair) => `${percent(pair.difference, 1)} (${percent(pair.low, 1)} to ${percent(pair.high, 1)})` },
  { key: "verdict", words: "In words", prose: true, cell: (pair) => pair.verdict },
];

function Whole({ report }) {
  const [best] = report.models;
  const columns = MODELS.filter(({ key }) => key !== "top5" || best.evaluation.accuracy?.top5);
  return html`<div class="stack">
    <p>${number(best.evaluation.pictures)} pictures, by ${best.evaluation.tool}; times are those of the machine that evaluated.</p>
    <${Table} caption="Models beside each other" columns=${columns} rows=${report.models} rowKey=${({ evaluation }) => evaluation.model.digest} />
    ${report.pairs.length > 0 && html`<${Table} caption="Which is better" columns=${PAIRS(report.models)} rows=${report.pairs} rowKey=${(pair) => `${pair.first} ${pair.second}`} />`}
    <${PerClass} accuracy=${best.evaluation.accuracy} />
    ${report.remarks.length > 0 && html`<ul>${report.remarks.map((words) => html`<li key=${words}>${words}</li>`)}</ul>`}
  </div>`;
}

const FIGURES = [
  { key: "name", words: "Figure", cell: ([name]) => sentence(name.replaceAll("_", " ")) },
  { key: "value", words: "Value", number: true, cell: ([name, value]) => figure(name, value) },
];

/** How well the release classifies, as far as somebody measured it. */
export function Evaluation({ figures, words, report }) {
  const told = Object.entries(figures);
  return html`<${Card} title="Evaluation">
    <div class="stack">
      <p>${words || html`Nothing is known of how well it classifies: <code>shoal evaluate</code>, then <code>shoal release --evaluation</code>.`}</p>
      ${report ? html`<${Whole} report=${report} />`
        : told.length > 0 && html`<${Table} caption="Figures in the manifest" columns=${FIGURES} rows=${told} rowKey=${([name]) => name} />`}
    </div>
  <//>`;
}
