// How the device itself fares, and what happened to it.
import { Badge, Card, Facts } from "../components.js";
import { bytes, celsius, instant, milliseconds, NONE, number, percent, plural } from "../format.js";
import { html } from "../ui.js";
import { rate } from "./model.js";
import * as words from "./words.js";

const EVENTS_SHOWN = 60;

function toned([tone, said]) {
  return html`<${Badge} tone=${tone}>${said}</${Badge}>`;
}

function pace(telemetry) {
  if (!telemetry?.fps_max) return null;
  return `at most ${number(telemetry.fps_max, 1)} frames a second: ${telemetry.fps_max_reason}`;
}

/** What one wants to know first, large. */
export function Vitals({ pipeline, windowS }) {
  const telemetry = pipeline.telemetry.at(-1);
  const vitals = telemetry?.vitals;
  const power = words.power(vitals);
  const numbers = [
    ["Frames a second", number(rate(pipeline.frames), 1)],
    [`Dropped in ${number(windowS)} s`, number(telemetry?.frames_dropped)],
    ["Age of answer, p95", milliseconds(telemetry?.latency_ms.age?.p95)],
    ["Processor", celsius(vitals?.soc_c)],
    ["Edge TPU", celsius(vitals?.tpu_c)],
  ].filter(([, said]) => said !== NONE);
  return html`<dl class="vitals" aria-label="At a glance">
      ${numbers.map(([term, said]) => html`<div key=${term}><dt>${term}</dt><dd>${said}</dd></div>`)}
    </dl>
    <${Facts}
      facts=${[
        ["Camera", toned(words.camera(pipeline.report.camera))],
        ["Power and heat", power && toned(power)],
        ["What helps", words.remedy(vitals)],
        ["Slowed down", pace(telemetry)],
      ]}
    />`;
}

export function Host({ pipeline, device }) {
  const { report } = pipeline;
  const telemetry = pipeline.telemetry.at(-1);
  const vitals = telemetry?.vitals;
  const memory = Object.entries(telemetry?.rss_bytes ?? {});
  const restarts = Object.entries(telemetry?.restarts ?? {}).map(([cause, count]) => `${cause} ${count}`);
  return html`<${Card} title="Device">
    <${Facts}
      facts=${[
        ["Hardware", `${report.capabilities.hardware}, ${report.capabilities.machine}`],
        ["Edge TPU", report.capabilities.edgetpu.join(", ") || "none"],
        ["Agent", device.now.agent],
        ["Clock", vitals && words.timekeeping(vitals)],
        ["Processor use", vitals && percent(vitals.cpu_share)],
        ["Memory free", vitals && bytes(vitals.memory_available_bytes)],
        ["Memory used", memory.map(([process, size]) => `${process} ${bytes(size)}`).join(", ")],
        ["Disk free", vitals && bytes(vitals.disk_free_bytes)],
        ["Broker", device.broker && `${device.broker.place}${device.broker.reason ? `: ${device.broker.reason}` : ""}`],
        ["Round trip", device.broker?.up && vitals ? milliseconds(vitals.broker_ms) : null],
        ["Outbox", vitals && `${plural(vitals.outbox_messages, "message")} waiting${vitals.outbox_dropped ? `, ${number(vitals.outbox_dropped)} dropped` : ""}`],
        ["Restarts", restarts.join(", ") || plural(report.worker_restarts, "restart")],
      ]}
    />
  </${Card}>`;
}

export function Events({ device, name }) {
  const told = device.events.filter((one) => one.pipeline === name).slice(0, EVENTS_SHOWN);
  return html`<${Card} title="What happened">
    ${told.length === 0 && html`<p class="quiet">Nothing since the agent started.</p>`}
    <ol class="events dated" tabindex="0" aria-label="Events, newest first">
      ${told.map(
        ({ event }, at) => html`<li key=${`${event.at} ${event.name} ${at}`}>
          <time datetime=${event.at}>${instant(event.at)}</time><span>${words.event(event)}</span>
        </li>`,
      )}
    </ol>
  </${Card}>`;
}
