// What a device says of itself.

import { Card, Facts, Table } from "../../components.js";
import { celsius, milliseconds, number, percent, shortDigest } from "../../format.js";
import { html } from "../../ui.js";
import { to } from "../router.js";

export function running(active) {
  if (!active) return "nothing";
  return html`<a href=${to(["releases", active.name, active.version])}>${active.name}@${active.version}</a>
    <span> on ${active.delegate || "nothing"}${active.delegate_reason ? `: ${active.delegate_reason}` : ""}</span>
    <code> ${shortDigest(active.digest)}</code>`;
}

export function Camera({ camera }) {
  if (!camera) return null;
  return html`<${Card} title="Camera"><${Facts} facts=${[["State", camera.state], ["Kind", camera.kind], ["Detail", camera.detail]]} /><//>`;
}

export function Capabilities({ report }) {
  if (!report) return null;
  const { capabilities: here = {} } = report;
  const facts = [
    ["Hardware", here.hardware], ["Machine", here.machine], ["Python", here.python], ["Runtime", here.runtime],
    ["Agent", here.agent], ["Edge TPU", (here.edgetpu ?? []).join(", ") || "none"], ["Tags it gives itself", (here.tags ?? []).join(", ")],
    ["Restarts of the worker", number(report.worker_restarts ?? 0)], ["Boot", number(report.boot ?? 0)],
  ];
  return html`<${Card} title="The device"><${Facts} facts=${facts} /><//>`;
}

const best = (classes) => Object.entries(classes ?? {}).sort(([, a], [, b]) => b - a).slice(0, 5);

const agreed = ({ shadow_frames: all = 0, agreed_frames: same = 0 }) => (all ? `${percent(same / all, 1)} of ${number(all)}` : "not compared");

const ROWS = [
  ["Frames", (of) => number(of.frames ?? 0)],
  ["Errors", (of) => number(of.errors ?? 0)],
  ["Restarts", (of) => number(of.restarts ?? 0)],
  ["invoke() p50", (of) => milliseconds(of.ms?.p50)],
  ["invoke() p95", (of) => milliseconds(of.ms?.p95)],
  ["Agreed in the trial", agreed],
  ["Hottest SoC", (of) => celsius(of.soc_c_max ?? null)],
  ["Seen most", (of) => best(of.classes).map(([label, count]) => `${label || "others"} ${number(count)}`).join(", ") || "nothing"],
];

/** What the release has shown on live frames, beside the one before it. */
export function Evidence({ pipeline }) {
  const serving = pipeline.report?.serving && { ...pipeline.report.serving, ms: pipeline.serving_ms };
  const before = pipeline.report?.before && { ...pipeline.report.before, ms: pipeline.before_ms };
  if (!serving) return null;
  const columns = [
    { key: "what", words: "What", cell: ([words]) => words },
    { key: "serving", words: "Now", number: true, cell: ([, of]) => of(serving) },
    ...(before ? [{ key: "before", words: "The release before", number: true, cell: ([, of]) => of(before) }] : []),
  ];
  return html`<${Card} title="Since it runs"><${Table} caption="What it has shown on live frames" columns=${columns} rows=${ROWS} rowKey=${([words]) => words} /><//>`;
}
