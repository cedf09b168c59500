import { duration } from "../../format.js";
import { Component, html } from "../../ui.js";
import { to } from "../router.js";
import { Presence, Standing, phaseKind } from "./badges.js";

export const address = (row) =>
  to(["devices", row.device], { pipeline: row.pipeline === "main" ? "" : row.pipeline });

const reported = (row) => (row.at === null ? "never" : `${duration((Date.now() - Date.parse(row.at)) / 1000)} ago`);

function running(row) {
  const coming = row.candidate && row.candidate !== row.running ? ` → ${row.candidate}` : "";
  return (row.running || "nothing") + coming;
}

function phase(row) {
  const done = row.done_share === null ? "" : ` ${Math.round(row.done_share * 100)} %`;
  return `${row.phase ?? "unknown"}${done}${row.paused ? ", paused" : ""}`;
}

const AS_IT_SHOULD = new Set([null, "live", "opening"]);
const ill = (row) => [row.degraded, AS_IT_SHOULD.has(row.camera) ? "" : `camera ${row.camera}`, row.why].filter(Boolean).join("; ");

function Cells({ name, row, gone }) {
  return html`
    <div role="gridcell" class="cell device"><a href=${address(row)} tabindex="-1">${name}</a>${
      row.tags.length ? html` <span class="tags">${row.tags.join(" ")}</span>` : null}</div>
    <div role="gridcell" class="cell online">${gone ? "gone" : html`<${Presence} online=${row.online} />`}</div>
    <div role="gridcell" class="cell release">${running(row)}</div>
    <div role="gridcell" class="cell phase ${phaseKind(row.phase)}">${phase(row)}</div>
    <div role="gridcell" class="cell standing">${row.standing ? html`<${Standing} is=${row.standing} />` : ""}</div>
    <div role="gridcell" class="cell why">${row.code ? html`<b>${row.code}</b> ` : ""}${ill(row)}</div>
    <div role="gridcell" class="cell hardware">${[...new Set([row.hardware, row.delegate])].filter(Boolean).join(", ")}</div>
    <div role="gridcell" class="cell reported">${reported(row)}</div>`;
}

/** A click anywhere in the row is one on its link, unless text is being marked. */
const opened = (row) => (event) => {
  if (event.target.closest("a") || String(getSelection())) return;
  location.hash = address(row);
};

/** One pipeline of a device; drawn again only when something of it is another. */
export class Row extends Component {
  shouldComponentUpdate(next) {
    return Object.keys(next).some((key) => next[key] !== this.props[key]);
  }

  render({ name, row, gone, place, top, active }) {
    const classes = `grid-row ${place % 2 ? "odd" : ""} ${active ? "active" : ""} ${gone ? "gone" : ""}`;
    return html`<div role="row" id=${`row-${place}`} class=${classes} aria-rowindex=${place + 2}
      aria-selected=${active ? "true" : "false"} style=${{ transform: `translateY(${top}px)` }}
      onClick=${opened(row)}><${Cells} name=${name} row=${row} gone=${gone} /></div>`;
  }
}
