import { Button, Card, Facts, Note, Table, Tabs, attempt } from "../../components.js";
import { duration, instant, shortDigest } from "../../format.js";
import { html } from "../../ui.js";
import { Lines } from "../audit.js";
import { Presence, Standing } from "../devices/badges.js";
import { useFleet } from "../fleet_store.js";
import { Document } from "../document.js";
import { useDocument } from "../live.js";
import { amend, to } from "../router.js";
import { Camera, Capabilities, Evidence, running } from "./report.js";
import { Series } from "./series.js";

function Command({ words }) {
  const copy = () => attempt(() => navigator.clipboard.writeText(words), "Copied");
  return html`<div class="row command"><code>${words}</code>${navigator.clipboard
    ? html`<${Button} onClick=${copy} aria-label=${`Copy ${words}`}>Copy<//>` : null}</div>`;
}

function Why({ explained, name }) {
  return html`<${Card} title="Why" aside=${explained.standing && html`<${Standing} is=${explained.standing} />`}>
    <div class="stack">
      <p><b>${explained.code}</b>: ${explained.why}</p>
      ${explained.remedy && html`<p>To do: ${explained.remedy}</p>`}
      ${(explained.besides ?? []).length > 0 && html`<ul class="besides">${explained.besides.map((words) => html`<li key=${words}>Besides: ${words}</li>`)}</ul>`}
      <${Command} words=${`shoal why ${name}`} />
      <${Command} words=${`shoal command ${name.split("/")[0]} log`} />
    </div>
  <//>`;
}

const plan = ({ plan_serial: newest, seen_serial: seen }) => {
  if (seen === null || seen === undefined) return "none seen";
  return newest === null || newest === undefined || newest === seen ? `${seen}` : `${seen} of ${newest}`;
};

function Standings({ row, report, explained }) {
  const facts = [
    ["Connection", html`<${Presence} online=${row.online} />`],
    ["Phase", `${row.phase ?? "unknown"}${row.paused ? ", paused" : ""}`],
    ["Runs", running(report?.active)],
    ["On its way", row.candidate && html`<a href=${to(["releases", ...row.candidate.split("@")])}>${row.candidate}</a>`],
    ["Downloaded", row.done_share === null || row.done_share === undefined ? "" : html`<progress class="progress" max="1" value=${row.done_share}
      aria-label="Downloaded"></progress> ${Math.round(row.done_share * 100)} %`],
    ["Degraded", row.degraded],
    ["In its own words", [report?.reason, report?.detail].filter(Boolean).join(": ")],
    ["Plan", plan(explained)],
    ["Reported", row.at ? html`<time dateTime=${row.at}>${duration((Date.now() - Date.parse(row.at)) / 1000)} ago</time>` : "never"],
  ];
  return html`<${Card} title="Now"><${Facts} facts=${facts} /><//>`;
}

function LastUpdate({ last }) {
  if (!last) return null;
  const facts = [
    ["Release", html`<a href=${to(["releases", last.name, last.version])}>${last.name}@${last.version}</a>`],
    ["Ended", last.outcome], ["Reason", last.reason ?? ""], ["Detail", last.detail],
    ["Manifest", html`<code>${shortDigest(last.manifest)}</code>`],
  ];
  return html`<${Card} title="Last update"><${Facts} facts=${facts} /><//>`;
}

function Member({ member, row }) {
  const facts = member ? [
    ["Tags", member.tags.join(", ") || "none"], ["Hardware", member.hardware],
    ["Seals its reports", member.sealed ? "yes" : "no: anybody on the broker could report in its name"],
    ["Credential", html`<code>${member.credential || "none on record"}</code>`],
    ["Expelled", member.expelled ? "yes" : ""],
  ] : [["Tags", row.tags.join(", ") || "none"]];
  return html`<${Card} title="Membership">
    ${member ? null : html`<${Note} tone="warn">Nobody enrolled it: <code>shoal enrol ${row.device}</code>.<//>`}
    <${Facts} facts=${facts} />
  <//>`;
}

function Bad({ known }) {
  const rows = Object.entries(known ?? {});
  if (!rows.length) return null;
  const columns = [
    { key: "digest", words: "Digest", cell: ([digest]) => html`<code title=${digest}>${shortDigest(digest)}</code>` },
    { key: "reason", words: "Why", cell: ([, reason]) => reason },
  ];
  return html`<${Card} title="Refused here for ever"><${Table} caption="Refused here for ever" columns=${columns} rows=${rows} rowKey=${([digest]) => digest} /><//>`;
}

function Pipeline({ name, pipeline, document }) {
  const { row, explained, report } = pipeline;
  return html`<div class="stack" id="pipeline" role=${document.pipelines.length > 1 ? "tabpanel" : undefined} aria-label=${name}>
    <div class="columns">
      <${Why} explained=${explained} name=${name} />
      <${Standings} row=${row} report=${report} explained=${explained} />
    </div>
    <${Series} device=${document.device} pipeline=${row.pipeline ?? "main"} />
    <div class="columns">
      <${LastUpdate} last=${report?.last} />
      <${Evidence} pipeline=${pipeline} />
      <${Camera} camera=${report?.camera} />
      <${Capabilities} report=${report} />
      <${Member} member=${document.member} row=${{ tags: [], ...row }} />
      <${Bad} known=${report?.known_bad} />
    </div>
  </div>`;
}

function Body({ document, pipeline }) {
  const chosen = document.pipelines.find(({ row }) => (row.pipeline ?? "main") === pipeline) ?? document.pipelines[0];
  if (!chosen) return html`<${Note}>Nothing is known of it yet.<//>`;
  const key = chosen.row.pipeline ?? "main";
  const name = key === "main" ? document.device : `${document.device}/${key}`;
  const tabs = document.pipelines.map(({ row }) => [row.pipeline ?? "main", row.pipeline ?? "main"]);
  return html`<div class="stack">
    ${tabs.length > 1 && html`<${Tabs} label="Pipelines" tabs=${tabs} chosen=${key} panel="pipeline"
      choose=${(next) => amend({ pipeline: next === "main" ? "" : next })} />`}
    <${Pipeline} name=${name} pipeline=${chosen} document=${document} />
    <${Card} title="History" aside=${html`<span class="quiet small">as of ${instant(document.at)}</span>`}>
      <${Lines} lines=${document.history} caption=${`History of ${document.device}, the newest first`} height="24rem"
        empty="Nobody has decided anything about it yet." />
    <//>
  </div>`;
}

/** One device: what it runs and why, what it measured, what was decided about it. */
export function DevicePage({ id, pipeline, store }) {
  useFleet(store);
  const told = store.entry(pipeline === "main" ? id : `${id}/${pipeline}`)?.row;
  const found = useDocument(`api/devices/${encodeURIComponent(id)}`, ({ type }) => type === "line", told);
  return html`<div class="stack">
    <p><a href=${to(["devices"])}>All devices</a></p>
    <${Document} found=${found} what="the device" draw=${(document) => html`<${Body} document=${document} pipeline=${pipeline} />`} />
  </div>`;
}
