// What serves, why there, what comes next, and what became of what came before.
import { post } from "../api.js";
import { Badge, Button, Card, Confirm, Facts, Note, toast } from "../components.js";
import { bytes, instant } from "../format.js";
import { html, useState } from "../ui.js";
import * as words from "./words.js";

function Offer({ name, offered, active, may }) {
  const [asking, setAsking] = useState(false);
  const install = async () => {
    await post("api/accept", { pipeline: name, version: offered.version });
    toast(`${words.release(offered)} is being installed.`);
  };
  return html`<div class="note offer">
    <p><strong>${words.release(offered)}</strong> is offered, and waits for somebody here.</p>
    ${may.includes("accept")
      ? html`<${Button} kind="first" onClick=${() => setAsking(true)}>Install</${Button}>`
      : html`<p class="small">You may look, and not install.</p>`}
    ${asking &&
    html`<${Confirm} title=${`Install ${words.release(offered)}?`} verb="Install" act=${install} close=${() => setAsking(false)}>
      <p>It is fetched, tried on this device, and takes over between two frames; ${active ? `${words.release(active)} serves until then, and comes back if the new one fails.` : "nothing serves now."}</p>
    </${Confirm}>`}
  </div>`;
}

function UnderWay({ report }) {
  const { candidate } = report;
  const [tone, said] = words.phase(report);
  const done = candidate?.bytes_total ? candidate.bytes_done / candidate.bytes_total : null;
  return html`<div class="stack" data-part="phase">
    <div class="row"><${Badge} tone=${tone}>${said}</${Badge}>${candidate && html`<span>${words.release(candidate)}</span>`}</div>
    ${report.phase === "fetching" &&
    html`<progress class="progress" max="1" value=${done} aria-label=${`${words.release(candidate)} fetched`}></progress>
      <p class="small">${bytes(candidate?.bytes_done)} of ${bytes(candidate?.bytes_total)}</p>`}
  </div>`;
}

export function Release({ name, pipeline, now }) {
  const { report, offered } = pipeline;
  const { active } = report;
  const held = report.phase === "held" || report.reason;
  return html`<${Card} title="Model">
    <div class="stack">
      ${report.degraded && html`<${Note} tone="warn"><strong>Degraded: </strong>${report.degraded}</${Note}>`}
      ${offered && html`<${Offer} name=${name} offered=${offered} active=${active} may=${now.may} />`}
      <${Facts}
        facts=${[
          ["Serves", active ? html`<strong>${words.release(active)}</strong>` : "nothing yet"],
          ["Computed by", active?.delegate && html`<strong>${active.delegate}</strong>`],
          ["Why there", active?.delegate_reason],
          ["Runtime", active?.runtime],
          ["File's digest", active?.digest && html`<code>${active.digest}</code>`],
          ["Stream", report.stream],
        ]}
      />
      <${UnderWay} report=${report} />
      ${held && html`<p data-part="held">${words.why(report.reason, report.detail, now.reasons)}</p>`}
    </div>
  </${Card}>`;
}

function Past({ at, ended, reasons }) {
  const [tone, said] = words.OUTCOMES[ended.outcome] ?? ["", ended.outcome];
  return html`<li>
    <div class="row">
      <strong>${words.release(ended)}</strong><${Badge} tone=${tone}>${said}</${Badge}>
      <time class="push quiet" datetime=${at}>${instant(at)}</time>
    </div>
    <p>${words.why(ended.reason, ended.detail, reasons)}</p>
  </li>`;
}

export function History({ pipeline, now }) {
  return html`<${Card} title="Updates so far">
    ${pipeline.past.length === 0 && html`<p class="quiet">No update has ended on this device yet.</p>`}
    <ol class="events" tabindex="0" aria-label="Updates that have ended, newest first">
      ${pipeline.past.map(({ at, ended }) => html`<${Past} key=${`${at} ${ended.manifest}`} at=${at} ended=${ended} reasons=${now.reasons} />`)}
    </ol>
  </${Card}>`;
}
