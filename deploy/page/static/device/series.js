import { TimeChart } from "../../charts.js";
import { Card } from "../../components.js";
import { milliseconds } from "../../format.js";
import { html } from "../../ui.js";
import { Document } from "../document.js";
import { useDocumentEvery } from "../live.js";

const EVERY_MS = 15_000;

const newest = (column) => column.findLast((value) => value !== null) ?? null;
const some = (column) => column.some((value) => value !== null);

function Charts({ series }) {
  const latency = [
    { words: "invoke() p50", values: series.invoke_p50_ms }, { words: "invoke() p95", values: series.invoke_p95_ms },
    { words: "age of a prediction p95", values: series.age_p95_ms },
  ];
  return html`<div class="columns">
    <div class="stack"><h3>Latency</h3>
      <${TimeChart} summary=${`Latency of ${series.device}: p95 of invoke() is ${milliseconds(newest(series.invoke_p95_ms))}`}
        times=${series.at} series=${latency} unit=" ms" /></div>
    <div class="stack"><h3>Frames a second</h3>
      <${TimeChart} summary=${`Frames a second of ${series.device}`} times=${series.at} series=${[{ words: "frames a second", values: series.fps }]} /></div>
    ${some(series.soc_c) && html`<div class="stack"><h3>Temperature of the SoC</h3>
      <${TimeChart} summary=${`Temperature of ${series.device}`} times=${series.at} unit=" °C" series=${[{ words: "SoC", values: series.soc_c }]} /></div>`}
  </div>`;
}

export function Series({ device, pipeline }) {
  const found = useDocumentEvery(`api/series/devices/${encodeURIComponent(device)}?pipeline=${encodeURIComponent(pipeline)}`, EVERY_MS);
  const draw = (series) => series.at.length ? html`<${Charts} series=${series} />`
    : html`<p class="quiet">No telemetry has come from it since the page began to listen.</p>`;
  return html`<${Card} title="Measured"><${Document} found=${found} what="what it measured" draw=${draw} /><//>`;
}
