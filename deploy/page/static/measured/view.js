import { Card, Table, Tabs } from "../../components.js";
import { instant, milliseconds, number } from "../../format.js";
import { html, useMemo } from "../../ui.js";
import { TimeChart } from "../../charts.js";
import { Document } from "../document.js";
import { useDocumentEvery } from "../live.js";
import { amend } from "../router.js";
import { Classes } from "./classes.js";
import { Running } from "./running.js";

const RANGES = [["3600", "1 hour"], ["21600", "6 hours"], ["86400", "1 day"], ["604800", "7 days"], ["2592000", "30 days"]];
const RANGE = "21600";
const YOUNG = "3600";
/** Where nothing is older. */
/** Measurements are merged by the minute. */
const EVERY_MS = 60_000;
const LINES_MAX = 5;

function Choice({ words, value, options, onChange }) {
  return html`<label class="field inline">${words}
    <select value=${value} onChange=${(event) => onChange(event.target.value)}>
      ${options.map(([key, name]) => html`<option key=${key} value=${key}>${name}</option>`)}
    </select>
  </label>`;
}

const named = ({ release, hardware }) => `${release || "releases unknown here"}, ${hardware || "hardware unknown here"}`;

const COLUMNS = [
  { key: "release", words: "Release", cell: (line) => line.release || "unknown here" },
  { key: "hardware", words: "Hardware", cell: (line) => line.hardware || "unknown here" },
  { key: "count", words: "Measured", number: true, cell: (line) => number(line.count) },
  ...["p50", "p95", "p99"].map((name) => ({ key: name, words: name, number: true, cell: (line) => milliseconds(line.whole[name]) })),
];

function Lines({ latency, percentile }) {
  const most = [...latency.lines].sort((a, b) => b.count - a.count).slice(0, LINES_MAX);
  const [first] = most;
  const summary = `${percentile} of ${latency.stage} over time; of ${named(first)} it is ${milliseconds(first.whole[percentile])} over the whole range`;
  return html`<${TimeChart} summary=${summary} times=${latency.at} unit=" ms" height=${260} timeWords=${(at) => instant(at * 1000)}
    series=${most.map((line) => ({ words: named(line), values: line[percentile] }))} />
  ${latency.lines.length > LINES_MAX && html`<p class="quiet small">The ${LINES_MAX} with the most frames are drawn; all are in the table.</p>`}`;
}

function Drawn({ latency, percentile }) {
  const { lines, everything } = latency;
  if (!lines.length) return html`<p class="quiet">Nothing was measured in this range: devices tell of it while <code>shoal serve</code> listens.</p>`;
  const rows = everything ? [{ ...everything, release: "all", hardware: "all" }, ...lines] : lines;
  return html`<div class="stack">
    <${Lines} latency=${latency} percentile=${percentile} />
    <${Table} caption="Latency over the whole range" columns=${COLUMNS} rows=${rows} rowKey=${(line) => `${line.release}\n${line.hardware}`} />
  </div>`;
}

function Latency({ address, percentile }) {
  const found = useDocumentEvery(address, EVERY_MS);
  return html`<${Document} found=${found} what="the series" draw=${(latency) => html`<${Drawn} latency=${latency} percentile=${percentile} />`} />`;
}

/** From so long ago on, to the minute, so that drawing again asks for nothing new. */
export const since = (seconds) => new Date(Math.floor((Date.now() / 1000 - seconds) / 60) * 60_000).toISOString();

function asked(path, parameters) {
  const kept = Object.entries(parameters).filter(([, value]) => value);
  return `${path}?${new URLSearchParams(kept)}`;
}

function Chosen({ names, query }) {
  const young = names.since === null || Date.now() - Date.parse(names.since) < 2 * YOUNG * 1000;
  const range = query.range || (young ? YOUNG : RANGE);
  const from = useMemo(() => since(Number(range)), [range]);
  const stage = query.stage || "invoke";
  const percentile = query.percentile || "p95";
  const release = query.release || "";
  const drifting = release || names.releases[0];
  const hardware = query.hardware || "";
  const all = [["", "all"]];
  return html`<div class="stack">
    <div class="toolbar">
      <${Tabs} label="Range" tabs=${RANGES} chosen=${range} panel="measured" choose=${(next) => amend({ range: next })} />
      <${Choice} words="Release" value=${release} options=${all.concat(names.releases.map((each) => [each, each]))} onChange=${(value) => amend({ release: value })} />
      <${Choice} words="Hardware" value=${hardware} options=${all.concat(names.hardware.map((each) => [each, each]))} onChange=${(value) => amend({ hardware: value })} />
    </div>
    <div class="stack" id="measured" role="tabpanel" aria-label="Measured in the chosen range">
      <${Card} title="Latency of the fleet" aside=${html`
        <${Choice} words="Stage" value=${stage} options=${names.stages.map((each) => [each, each])} onChange=${(value) => amend({ stage: value })} />
        <${Choice} words="Percentile" value=${percentile} options=${["p50", "p95", "p99"].map((each) => [each, each])} onChange=${(value) => amend({ percentile: value })} />`}>
        <${Latency} address=${asked("api/series/latency", { stage, since: from, release, hardware })} percentile=${percentile} />
      <//>
      <${Running} address=${asked("api/series/running", { since: from })} />
      ${drifting && html`<${Classes} release=${drifting} address=${asked("api/series/classes", { release: drifting, since: from })} />`}
    </div>
  </div>`;
}

/** What the fleet measures, over time. */
export function Measured({ query }) {
  const found = useDocumentEvery("api/series", EVERY_MS);
  const draw = (names) => names.stages.length ? html`<${Chosen} names=${names} query=${query} />`
    : html`<p class="note">Nothing has been measured yet: devices tell of it every few seconds, and <code>shoal serve</code> listens.</p>`;
  return html`<${Document} found=${found} what="what there is" draw=${draw} />`;
}
