import { Card, Note, Table } from "../../components.js";
import { bytes, duration, number, percent, plural } from "../../format.js";
import { html } from "../../ui.js";
import { to } from "../router.js";

const NAMED = 30;

const classes = (found) => Object.entries(found).map(([name, count]) => `${number(count)} ${name}`).join(", ");

const COLUMNS = [
  { key: "wave", words: "Wave", cell: (wave) => wave.wave },
  { key: "joining", words: "Join", number: true, cell: (wave) => number(wave.joining.length) },
  { key: "devices", words: "Devices so far", number: true, cell: (wave) => number(wave.devices) },
  { key: "online", words: "Of these online", number: true, cell: (wave) => number(wave.online) },
  { key: "classes", words: "Hardware", cell: (wave) => classes(wave.classes) },
  { key: "bytes", words: "To download", number: true, cell: (wave) => bytes(wave.download_bytes) },
  { key: "seconds", words: "Takes", number: true, cell: (wave) => (wave.seconds === null ? "no rate limit" : duration(wave.seconds)) },
  { key: "sees", words: "Gate sees from", number: true, cell: (wave) => (wave.sees_share === null ? "nothing" : `${percent(wave.sees_share, 1)} failing`) },
  { key: "signatures", words: "Signatures", number: true, cell: (wave) => number(wave.signatures) },
];

function Names({ names }) {
  return html`<ul class="names">${names.slice(0, NAMED).map((name) => html`<li key=${name}><a href=${to(["devices", name])}>${name}</a></li>`)}
    ${names.length > NAMED && html`<li>and ${number(names.length - NAMED)} more</li>`}</ul>`;
}

function Joining({ waves }) {
  return html`<div>${waves.map(({ wave, joining }) => html`<details key=${wave}>
    <summary>Wave ${wave}: ${plural(joining.length, "device")}</summary>
    <${Names} names=${joining.map(({ device }) => device)} />
  </details>`)}</div>`;
}

function Outside({ never, unmatched, unknown, barred }) {
  const groups = [
    [never, "match, and no wave lets them in"], [unmatched, "do not match"],
    [unknown, "have not told their hardware yet, so they are not counted"],
  ];
  return html`${groups.filter(([names]) => names.length).map(([names, words]) => html`<details key=${words}>
    <summary>${plural(names.length, "device")} ${words}</summary><${Names} names=${names} /></details>`)}
  ${barred.length > 0 && html`<details open><summary>${plural(barred.length, "device")} will hold the release, whatever the plan says</summary>
    <ul>${barred.slice(0, NAMED).map((each) => html`<li key=${each.device}><a href=${to(["devices", each.device])}>${each.device}</a>:
      <b> ${each.reason}</b> ${each.detail}</li>`)}</ul></details>`}`;
}

/** What an order would do, wave by wave, before anybody is told. */
export function Preview({ planned }) {
  const { preview, evaluation } = planned;
  return html`<${Card} title="What it would do">
    <div class="stack">
      ${evaluation ? html`<p>${evaluation}</p>` : html`<${Note} tone="warn">Nothing is known of how well this release classifies.<//>`}
      <${Table} caption="Waves as they would be cut now" columns=${COLUMNS} rows=${preview.waves} rowKey=${(wave) => wave.wave} />
      <${Joining} waves=${preview.waves} />
      <${Outside} ...${preview} />
      <p class="quiet">Nothing has been published.</p>
    </div>
  <//>`;
}
