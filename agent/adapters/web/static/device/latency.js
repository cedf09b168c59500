// Latency as it is: each frame of the last minute by stage, percentiles and temperature over the last hour.
import { TimeChart } from "../charts.js";
import { Card, Tabs } from "../components.js";
import { milliseconds, number } from "../format.js";
import { html, useState } from "../ui.js";
import { since, slowest } from "./model.js";

const MINUTE_MS = 60_000;
const POINTS = 240;
const STAGES = [
  ["capture", "waiting"],
  ["pre", "preparing"],
  ["invoke", "model"],
  ["post", "ranking"],
];
const ROWS = [...STAGES, ["age", "age of answer"], ["publish", "publishing"]];
const VIEWS = [
  ["minute", "Minute"],
  ["hour", "Hour"],
  ["heat", "Heat"],
];
const PANEL = "latency-panel";

function seconds(at) {
  return Date.parse(at) / 1000;
}

function Minute({ frames, end }) {
  const chosen = slowest(since(frames, end, MINUTE_MS), POINTS);
  const last = chosen.at(-1);
  const summary = last
    ? `Latency of each frame by stage over the last minute; the newest answer was ${milliseconds(last.latency_ms.age)} old`
    : "Latency of each frame by stage over the last minute; there was no frame";
  return html`<${TimeChart}
    key="minute"
    stacked
    unit=" ms"
    summary=${summary}
    times=${chosen.map((frame) => seconds(frame.at))}
    series=${STAGES.map(([key, words]) => ({ words, values: chosen.map((frame) => Math.max(0, frame.latency_ms[key])) }))}
    span=${[(end - MINUTE_MS) / 1000, end / 1000]}
  />`;
}

function Hour({ telemetry }) {
  const of = (key) => telemetry.map((one) => one.latency_ms.age?.[key] ?? null);
  const last = telemetry.at(-1)?.latency_ms.age;
  const summary = last
    ? `Age of answers over the last hour; in the newest window half within ${milliseconds(last.p50)}, 95 of 100 within ${milliseconds(last.p95)}`
    : "Age of answers over the last hour; no window has ended yet";
  return html`<${TimeChart}
    key="hour"
    unit=" ms"
    summary=${summary}
    times=${telemetry.map((one) => seconds(one.at))}
    series=${[
      { words: "p50", values: of("p50") },
      { words: "p95", values: of("p95") },
      { words: "p99", values: of("p99") },
    ]}
  />`;
}

function Heat({ telemetry }) {
  const of = (key) => telemetry.map((one) => one.vitals?.[key] ?? null);
  const lines = [
    { words: "processor", values: of("soc_c") },
    { words: "Edge TPU", values: of("tpu_c") },
  ].filter(({ values }) => values.some((value) => value !== null));
  if (lines.length === 0) return html`<p class="quiet">This host does not tell its temperature.</p>`;
  const last = lines.map(({ words, values }) => `${words} ${number(values.at(-1), 1)} °C`).join(", ");
  return html`<${TimeChart}
    key="heat"
    unit=" °C"
    top=${90}
    summary=${`Temperature over the last hour; now ${last}`}
    times=${telemetry.map((one) => seconds(one.at))}
    series=${lines}
  />`;
}

/** The last window's percentiles, and the newest frame's own. */
function Stages({ frames, telemetry }) {
  const newest = frames.at(-1)?.latency_ms;
  const window = telemetry.at(-1)?.latency_ms;
  const rows = ROWS.filter(([key]) => newest?.[key] !== undefined || window?.[key]);
  const cell = (value) => number(value, value !== undefined && value < 10 ? 2 : 1);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Milliseconds by stage">
    <table class="table tight">
      <caption class="unseen">Milliseconds by stage</caption>
      <thead>
        <tr>
          <th scope="col">Milliseconds</th>
          <th scope="col" class="number">newest</th>
          <th scope="col" class="number">p50</th>
          <th scope="col" class="number">p95</th>
          <th scope="col" class="number">p99</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ([key, words]) => html`<tr key=${key}>
            <th scope="row">${words}</th>
            <td class="number">${cell(newest?.[key])}</td>
            <td class="number">${cell(window?.[key]?.p50)}</td>
            <td class="number">${cell(window?.[key]?.p95)}</td>
            <td class="number">${cell(window?.[key]?.p99)}</td>
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

export function Latency({ pipeline, end }) {
  const [view, setView] = useState("minute");
  const { frames, telemetry } = pipeline;
  return html`<${Card} title="Latency" kind="latency" aside=${html`<${Tabs} label="Span of time" tabs=${VIEWS} chosen=${view} choose=${setView} panel=${PANEL} />`}>
    <div id=${PANEL} role="tabpanel" aria-label=${VIEWS.find(([key]) => key === view)[1]} class="stack">
      ${view === "minute" && html`<${Minute} frames=${frames} end=${end} />`}
      ${view === "hour" && html`<${Hour} telemetry=${telemetry} />`}
      ${view === "heat" && html`<${Heat} telemetry=${telemetry} />`}
    </div>
    <${Stages} frames=${frames} telemetry=${telemetry} />
  </${Card}>`;
}
