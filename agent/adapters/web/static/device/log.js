// Frame by frame: what was seen, which can be paused, filtered and saved.
import { Button, Card, Table } from "../components.js";
import { clock, milliseconds, number, plural, score } from "../format.js";
import { csv, jsonLines, save } from "../save.js";
import { html, useState } from "../ui.js";

const ROWS_SHOWN = 100;
const STAGES = ["capture", "pre", "invoke", "post", "age"];

const COLUMNS = [
  { key: "at", words: "Captured", cell: (one) => clock(one.at, { millis: true }) },
  { key: "label", words: "Best label", cell: (one) => html`<span class="clamp" dir="auto">${best(one)?.label ?? "nothing is sure"}</span>` },
  { key: "score", words: "Score", number: true, cell: (one) => (best(one) ? score(best(one).score) : "") },
  { key: "age", words: "Age", number: true, cell: (one) => milliseconds(one.latency_ms.age) },
  { key: "sequence", words: "Frame", number: true, cell: (one) => `${one.sequence}${one.frame ? ` ${one.frame}` : ""}` },
  { key: "model", words: "Release", cell: (one) => `${one.model} ${one.version}` },
  { key: "delegate", words: "Computed by", cell: (one) => one.delegate },
];

function best(seen) {
  return seen.predictions[0];
}

/** Frames any of whose labels has these words, and whose best score reaches this share. */
function filtered(frames, words, floor) {
  const wanted = words.trim().toLowerCase();
  if (!wanted && floor === null) return frames;
  return frames.filter(
    (one) =>
      (!wanted || one.predictions.some(({ label }) => label.toLowerCase().includes(wanted))) &&
      (floor === null || (best(one)?.score ?? 0) >= floor),
  );
}

function asCsv(frames) {
  const head = ["at", "pipeline", "sequence", "frame", "model", "version", "delegate", "label", "score"];
  const rows = frames.map((one) => [
    one.at,
    one.pipeline,
    one.sequence,
    one.frame ?? "",
    one.model,
    one.version,
    one.delegate,
    best(one)?.label ?? "",
    best(one)?.score ?? "",
    ...STAGES.map((stage) => one.latency_ms[stage]),
  ]);
  return csv([...head, ...STAGES.map((stage) => `${stage}_ms`)], rows);
}

function fileName(device, pipeline, kind) {
  return `${device}-${pipeline}-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.${kind}`;
}

function Tools({ words, setWords, percent, setPercent, still, toggle, chosen, device, name }) {
  return html`<div class="toolbar" role="group" aria-label="Log">
    <label class="field">Label has<input type="search" value=${words} onInput=${(e) => setWords(e.target.value)} /></label>
    <label class="field narrow">
      Score at least, %<input type="number" min="0" max="100" step="any" value=${percent} onInput=${(e) => setPercent(e.target.value)} />
    </label>
    <${Button} onClick=${toggle}>${still ? "Resume log" : "Pause log"}</${Button}>
    <${Button} disabled=${chosen.length === 0} onClick=${() => save(fileName(device, name, "jsonl"), "application/x-ndjson", jsonLines(chosen))}>Save JSON lines</${Button}>
    <${Button} disabled=${chosen.length === 0} onClick=${() => save(fileName(device, name, "csv"), "text/csv", asCsv(chosen))}>Save CSV</${Button}>
  </div>`;
}

export function Log({ device, name, pipeline }) {
  const [words, setWords] = useState("");
  const [percent, setPercent] = useState("");
  const [still, setStill] = useState(null);
  const frames = still ? still.frames : pipeline.frames;
  const chosen = filtered(frames, words, percent === "" ? null : Number(percent) / 100);
  const toggle = () => setStill(still ? null : { frames: [...pipeline.frames], at: Date.now() });
  const newer = still ? pipeline.frames.filter((one) => one.at > (still.frames.at(-1)?.at ?? "")).length : 0;
  return html`<${Card} title="Frame by frame" kind="log">
    <${Tools} ...${{ words, setWords, percent, setPercent, still, toggle, chosen, device, name }} />
    <p class="small" data-part="count">
      ${chosen.length === frames.length ? plural(frames.length, "frame") : `${number(chosen.length)} of ${plural(frames.length, "frame")}`} kept in this page${chosen.length > ROWS_SHOWN && `, the newest ${ROWS_SHOWN} shown`}.
      ${still && ` Paused since ${clock(still.at)}; ${plural(newer, "newer frame")}.`}
    </p>
    <${Table}
      caption="Classified frames, newest first"
      columns=${COLUMNS}
      rows=${chosen.slice(-ROWS_SHOWN).reverse()}
      rowKey=${(one) => `${one.at} ${one.sequence}`}
      height="24rem"
      empty=${frames.length ? "No frame is like that." : "No frame was classified yet."}
    />
  </${Card}>`;
}
