import { TimeChart } from "../../charts.js";
import { Card } from "../../components.js";
import { milliseconds } from "../../format.js";
import { html, useEffect } from "../../ui.js";
import { useDocument } from "../live.js";

const EVERY_MS = 15_000;

/** Asked for anew now and then: a device measures in windows of seconds. */
function useSeries(address) {
  const found = useDocument(address);
  useEffect(() => {
    const timer = setInterval(() => { if (!document.hidden) found.again(); }, EVERY_MS);
    return () => clearInterval(timer);
  }, [address]);
  return found;
}

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
  const { document, error } = useSeries(`api/series/devices/${encodeURIComponent(device)}?pipeline=${encodeURIComponent(pipeline)}`);
  const empty = document && document.at.length === 0;
  return html`<${Card} title="Measured">
    ${error && html`<p class="quiet" role="status">${error}</p>`}
    ${empty && html`<p class="quiet">No telemetry has come from it since the page began to listen.</p>`}
    ${document && !empty && html`<${Charts} series=${document} />`}
  <//>`;
}
