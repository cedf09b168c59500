// The page of one device; what it is told stands in `agent/core/page/words.py`.
import { listen, post, signOut } from "../api.js";
import { attempt, Badge, Button, Card, Ranking, Tabs, Toasts } from "../components.js";
import { clock, duration, instant } from "../format.js";
import { pulse, useNow } from "../store.js";
import { html, render, useEffect, useState } from "../ui.js";
import { Events, Host, Vitals } from "./host.js";
import { Latency } from "./latency.js";
import { Log } from "./log.js";
import { Device } from "./model.js";
import { PAST_MS, Picture } from "./picture.js";
import { History, Release } from "./release.js";
import * as words from "./words.js";

const DRAWN_PER_S = 5;
/** A picture that is older than that says no more what is seen now. */
const SHOWN_MS = 2_000;
const PANEL = "pipeline";

const device = new Device();
const beats = pulse(DRAWN_PER_S);

function heard(change) {
  return (document) => {
    change(document);
    beats.soon();
  };
}

function connect() {
  const handlers = {
    now: heard((now) => device.began(now)),
    frame: heard((seen) => device.frame(seen)),
    report: heard((told) => device.report(told)),
    telemetry: heard((measured) => device.telemetry(measured)),
    event: heard((happened) => device.event(happened)),
    broker: heard((turned) => (device.broker = turned.broker)),
  };
  return listen("api/stream", handlers, (lostSince) => {
    device.lostSince = lostSince;
    beats.soon();
  });
}

function Lost({ since }) {
  const now = useNow();
  return html`<div class="banner" role="alert">
    Connection lost since ${clock(since)}. Trying again.
    <span aria-hidden="true">(${duration((now - since) / 1000)})</span>
  </div>`;
}

function Pause({ name, report, may }) {
  const to = report.paused ? "resume" : "pause";
  if (!may.includes(to)) return null;
  const act = () =>
    attempt(() => post("api/pause", { pipeline: name, paused: !report.paused }), report.paused ? "Resumed." : "Paused.");
  return html`<${Button} onClick=${act}>${report.paused ? "Resume" : "Pause"}</${Button}>`;
}

function Top({ name, pipeline, choose }) {
  const { now, broker } = device;
  const names = Object.keys(device.pipelines);
  const [tone, said] = words.state(pipeline.report);
  const [brokerTone, brokerSaid] = words.broker(broker);
  return html`<header class="top">
    <h1>${now.device}</h1>
    <div class="row" role="status">
      <${Badge} tone=${tone}>${said}</${Badge}>
      <${Badge} tone=${brokerTone} title=${broker?.reason}>${brokerSaid}</${Badge}>
    </div>
    ${names.length > 1 && html`<${Tabs} label="Pipelines" tabs=${names.map((one) => [one, one])} chosen=${name} choose=${choose} panel=${PANEL} />`}
    <div class="row push">
      <${Pause} name=${name} report=${pipeline.report} may=${now.may} />
      ${now.may.includes("sign-out") && html`<${Button} onClick=${() => attempt(signOut)}>Sign out</${Button}>`}
    </div>
  </header>`;
}

/** Of the frame that is shown, so that the list and the picture say the same; without a picture, the newest. */
function ranked(pipeline, end) {
  const { shown, frames } = pipeline;
  const seen = shown && end - Date.parse(shown.at) < SHOWN_MS ? shown : frames.at(-1);
  return seen ?? null;
}

function Sees({ pipeline, end, windowS }) {
  const seen = ranked(pipeline, end);
  const ageMs = seen ? end - Date.parse(seen.at) : 0;
  return html`<${Card} title="What it sees" kind="sees">
    <div class="stack">
      ${seen && seen.predictions.length > 0
        ? html`<${Ranking} ranked=${seen.predictions} />`
        : html`<p class="quiet">${seen ? "Nothing is sure enough." : "Nothing was classified yet."}</p>`}
      ${ageMs > PAST_MS && html`<p><strong>Seen ${duration(ageMs / 1000)} ago</strong>, at ${instant(seen.at)}.</p>`}
      <${Vitals} pipeline=${pipeline} windowS=${windowS} />
    </div>
  </${Card}>`;
}

function Page() {
  beats.use();
  const [chosen, choose] = useState("");
  if (!device.now) return html`<p class="waiting" role="status">${device.lostSince ? "" : "Asking the device."}</p>`;
  const name = chosen in device.pipelines ? chosen : Object.keys(device.pipelines)[0];
  const pipeline = device.pipelines[name];
  const end = Math.max(Date.now() + device.aheadMs, Date.parse(pipeline.frames.at(-1)?.at ?? 0));
  return html`
    <${Top} name=${name} pipeline=${pipeline} choose=${choose} />
    <main id=${PANEL} class="grid" tabindex="-1">
      <div class="stack">
        <${Picture} key=${name} device=${device} name=${name} pipeline=${pipeline} connected=${device.lostSince === null} end=${end} changed=${beats.soon} />
        <${Sees} pipeline=${pipeline} end=${end} windowS=${device.now.window_s} />
      </div>
      <div class="stack">
        <${Release} name=${name} pipeline=${pipeline} now=${device.now} />
        <${History} pipeline=${pipeline} now=${device.now} />
      </div>
      <div class="stack">
        <${Latency} pipeline=${pipeline} end=${end} />
        <${Host} pipeline=${pipeline} device=${device} />
      </div>
      <${Log} key=${`log ${name}`} device=${device.now.device} name=${name} pipeline=${pipeline} />
      <${Events} device=${device} name=${name} />
    </main>`;
}

function App() {
  beats.use();
  useEffect(connect, []);
  useEffect(() => {
    if (device.now) document.title = `${device.now.device} · Shoal`;
  });
  // Time goes on in the chart even where nothing happens.
  useNow();
  return html`<a class="skip" href="#${PANEL}">Skip to the picture</a>
    ${device.lostSince && html`<${Lost} since=${device.lostSince} />`}
    <${Page} />
    <${Toasts} />`;
}

render(html`<${App} />`, document.getElementById("app"));
