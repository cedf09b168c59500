// What stands around every view: where one can go, who one is, and what is not as it should be.

import { signOut } from "../api.js";
import { attempt } from "../components.js";
import { clock, duration, instant, number, sentence } from "../format.js";
import { useNow } from "../store.js";
import { html } from "../ui.js";
import { useFleet } from "./fleet_store.js";
import { to } from "./router.js";

const PLACES = [
  ["devices", "Devices"], ["rollouts", "Rollouts"], ["releases", "Releases"], ["measured", "Measured"],
  ["audit", "Audit"],
];
const BELOW = { start: "rollouts" };

function Who({ me }) {
  if (me.name) {
    return html`<span class="who">${me.name}, ${me.role}</span>
      <button type="button" class="button" onClick=${() => attempt(signOut)}>Sign out</button>`;
  }
  return me.sign_in ? html`<a class="button" href="sign-in">Sign in</a>` : null;
}

export function Head({ place, me }) {
  const here = BELOW[place] ?? place;
  return html`<header class="top">
    <p class="brand"><b>Shoal</b> ${me.fleet}</p>
    <nav aria-label="Pages">
      ${PLACES.map(([key, title]) => html`<a key=${key} href=${to([key])} aria-current=${key === here ? "page" : undefined}>${title}</a>`)}
    </nav>
    <div class="row push"><${Who} me=${me} /></div>
  </header>`;
}

function since(ms, now) {
  return `since ${clock(ms)} (${duration((now - ms) / 1000)})`;
}

function brokerWords({ broker, at }, now) {
  const why = broker.reason ? `: ${broker.reason}` : "";
  const from = broker.since ? ` ${since(Date.parse(broker.since), now)}` : "";
  return `The broker ${broker.place} is away${from}${why}. What is shown was so at ${instant(at)}.`;
}

/** What is wrong with what one sees, the gravest first: [tone, words] each. */
function troubles(told, server, me, now) {
  const found = [];
  if (server.lostSince) {
    const at = told ? ` What is shown was so at ${instant(told.at)}.` : "";
    const what = server.why ? sentence(server.why) : `The server of this page does not answer ${since(server.lostSince, now)}.`;
    found.push(["bad", `${what}${at}`]);
  } else if (server.failed) found.push(["bad", sentence(server.failed)]);
  if (told && !told.broker.up) found.push(["bad", brokerWords(told, now)]);
  if (told?.fault) found.push(["bad", sentence(told.fault)]);
  if (told && !told.controller.runs) found.push(["warn", sentence(told.controller.words)]);
  const [first, ...others] = told?.missing ?? [];
  if (first) found.push(["warn", `Incomplete: ${first}${others.length ? `; and ${number(others.length)} more like it` : ""}.`]);
  if (me.note) found.push(["", sentence(me.note)]);
  return found;
}

function NotBelieved({ refused }) {
  return html`<details class="note warn">
    <summary>${refused.length} things that devices are said to have told were not believed</summary>
    <ul>${refused.map((words) => html`<li key=${words}>${words}</li>`)}</ul>
  </details>`;
}

export function Banners({ store, server, me }) {
  useFleet(store);
  const now = useNow(1_000);
  const told = store.told;
  const found = troubles(told, server, me, now);
  const disbelieved = told?.refused?.length ? html`<${NotBelieved} refused=${told.refused} />` : null;
  return html`<div role="status" class="unseen">${found.map(([, words]) => words.replace(/ \([^)]*\)/, "")).join(" ")}</div>
    ${(found.length > 0 || disbelieved) && html`<section class="banners" aria-label="Notices">
      ${found.map(([tone, words]) => html`<p key=${words.slice(0, 20)} class="banner ${tone}">${words}</p>`)}
      ${disbelieved}
    </section>`}`;
}
