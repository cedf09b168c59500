import { Card, Facts, Table } from "../../components.js";
import { bytes, number, plural, sentence, shortDigest } from "../../format.js";
import { html } from "../../ui.js";
import { Document } from "../document.js";
import { useDocument } from "../live.js";
import { to } from "../router.js";
import { Evaluation } from "./evaluation.js";

const roles = ({ stable, candidate, revoked }) =>
  [revoked ? "revoked" : "", stable.length ? `stable of ${stable.join(", ")}` : "", candidate.length ? `candidate of ${candidate.join(", ")}` : ""]
    .filter(Boolean).join("; ");

const COLUMNS = [
  { key: "name", words: "Release", cell: (each) => html`<a href=${to(["releases", each.name, each.version])}>${each.name}@${each.version}</a>` },
  { key: "running", words: "Runs on", number: true, cell: (each) => number(each.running) },
  { key: "roles", words: "Is", cell: roles },
  { key: "evaluation", words: "Evaluation", cell: (each) => each.evaluation || "nothing is known" },
  { key: "manifest", words: "Manifest", cell: (each) => html`<code>${shortDigest(each.manifest)}</code>` },
];

const None = () => html`<div class="note stack">
  <p>There is no release yet.</p>
  <p>Make one with <code>shoal release MODEL.tflite --labels LABELS.txt</code>.</p>
</div>`;

export function Releases() {
  const found = useDocument("api/releases", ({ type }) => type === "line" || type === "rollout");
  const draw = ({ releases }) => releases.length === 0 ? html`<${None} />`
    : html`<${Table} caption="Releases" columns=${COLUMNS} rows=${releases} rowKey=${(each) => `${each.name}@${each.version}`} />`;
  return html`<${Document} found=${found} what="the releases" draw=${draw} />`;
}

const VARIANTS = [
  { key: "file", words: "File", cell: (each) => each.file },
  { key: "delegate", words: "Computed on", cell: (each) => each.delegate },
  { key: "bytes", words: "Size", number: true, cell: (each) => bytes(each.bytes) },
  { key: "pulled", words: "Download", number: true, cell: (each) => bytes(each.pulled_bytes) },
  { key: "runtime", words: "Runtime from", cell: (each) => [each.minimum_runtime, each.runtime_reason].filter(Boolean).join(", ") || "any" },
  { key: "patches", words: "Patches", number: true, cell: (each) => number(each.patches.length) },
  { key: "digest", words: "Digest", cell: (each) => html`<code title=${each.digest}>${shortDigest(each.digest)}</code>` },
];

const layout = (input) => `${input.height_px} x ${input.width_px} x ${input.channels} ${input.dtype}, ${input.fit}`;

function facts({ brief, description, licence, input, output, labels, golden_tolerance: tolerance, rollouts }) {
  return [
    ["Description", description], ["Licence", licence], ["Is", roles(brief)],
    ["Manifest", html`<code>${brief.manifest}</code>`],
    ["Input", layout(input)], ["Output", `${plural(output.classes, "class", "classes")}, ${output.dtype}, ${output.activation}`],
    ["Labels", labels ? "with the release" : "none"], ["Golden tolerance", String(tolerance)],
    ["Rollouts", rollouts.length ? html`${rollouts.map((name) => html`<a key=${name} href=${to(["rollouts", name])}>${name}</a> `)}` : "none"],
  ];
}

function Running({ brief, running_on: names }) {
  const all = html`<a href=${to(["devices"], { q: `release:${brief.name}@${brief.version}` })}>${plural(brief.running, "pipeline")}</a>`;
  return html`<${Card} title="Runs on" aside=${all}>
    ${names.length ? html`<ul class="names">${names.map((name) => html`<li key=${name}><a href=${to(["devices", name.split("/")[0]])}>${name}</a></li>`)}</ul>`
      : html`<p class="quiet">No device runs it.</p>`}
  <//>`;
}

function Body({ document, me }) {
  const { brief, variants, provenance } = document;
  const name = `${brief.name}@${brief.version}`;
  return html`<div class="stack">
    <div class="row">
      ${me.may.includes("order") && !brief.revoked && html`<a class="button first" href=${to(["start"], { release: name })}>Start a rollout</a>`}
      ${brief.revoked && html`<p class="note bad">Its files are refused on every device: it was aborted.</p>`}
    </div>
    <${Card} title="Release"><${Facts} facts=${facts(document)} /><//>
    <${Card} title="Variants"><${Table} caption="Files of the release" columns=${VARIANTS} rows=${variants} rowKey=${(each) => each.digest} /><//>
    <${Evaluation} figures=${document.figures} words=${brief.evaluation} report=${document.report} />
    <div class="columns">
      <${Card} title="Where it comes from">${Object.keys(provenance).length
        ? html`<${Facts} facts=${Object.entries(provenance).map(([key, said]) => [sentence(key.replaceAll("_", " ")), said])} />`
        : html`<p class="quiet">Nobody wrote it down.</p>`}<//>
      <${Running} ...${document} />
    </div>
  </div>`;
}

export function ReleasePage({ name, version, me }) {
  const address = `api/releases/${encodeURIComponent(name)}/${encodeURIComponent(version)}`;
  const found = useDocument(address, ({ type }) => type === "rollout");
  return html`<${Document} found=${found} what="the release" draw=${(document) => html`<${Body} document=${document} me=${me} />`} />`;
}
