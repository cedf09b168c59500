import { instant, number, plural } from "../../format.js";
import { html } from "../../ui.js";
import { gathered } from "./words.js";

const LEAST = 1.5;
/** Of the bar, in percent: one failure among a thousand is seen. */

function Bar({ standings, devices }) {
  const parts = gathered(standings).filter(([, count]) => count > 0);
  const all = Math.max(devices, 1);
  return html`<div class="wave-bar" aria-hidden="true">
    ${parts.map(([name, count]) => html`<span key=${name} class=${name.replace(" ", "-")}
      style=${{ flexGrow: Math.max((count / all) * 100, LEAST) }}></span>`)}
  </div>`;
}

const STATES = { out: "has been out", current: "out now", coming: "to come" };

function Signatures({ wave }) {
  if (!wave.signatures && !wave.signed) return null;
  const lacking = wave.signatures - wave.signed;
  return html`<p class="small">${lacking > 0 ? `needs ${plural(lacking, "more signature")}` : `signed by ${wave.signed}`}</p>`;
}

function Wave({ wave, place }) {
  const coming = wave.state === "coming";
  const since = wave.begun_at ? html` since <time datetime=${wave.begun_at}>${instant(wave.begun_at)}</time>` : "";
  return html`<li class="wave ${wave.state}" aria-current=${wave.state === "current" ? "step" : undefined}>
    <h2>Wave ${place + 1}: ${wave.label}</h2>
    <p>${plural(wave.devices, "device")}, ${STATES[wave.state]}${since}</p>
    ${coming ? null : html`<${Bar} standings=${wave.standings} devices=${wave.devices} />
    <ul class="wave-counts">${gathered(wave.standings).map(([name, count]) =>
      html`<li key=${name} class=${name.replace(" ", "-")}><b>${number(count)}</b> ${name}</li>`)}</ul>`}
    <${Signatures} wave=${wave} />
  </li>`;
}

/** The waves side by side, as they come one after the other. */
export const Waves = ({ waves }) => html`<ol class="waves" aria-label="Waves">
  ${waves.map((wave, place) => html`<${Wave} key=${place} wave=${wave} place=${place} />`)}
</ol>`;
