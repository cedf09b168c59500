import { number, plural } from "../../format.js";
import { html, useCallback, useState } from "../../ui.js";
import { useFleet } from "../fleet_store.js";
import { amend } from "../router.js";
import { Facets } from "./facets.js";
import { toggled } from "./filter.js";
import { Grid } from "./grid.js";
import { SortChoice } from "./head.js";
import { orderText, parseOrder } from "./order.js";
import { useFilter, useOrder } from "./shown.js";

const Nobody = () => html`<div class="note stack">
  <p>No device has reported to this broker yet.</p>
  <p>Make one known with <code>shoal enrol DEVICE</code>, then start <code>shoal-agent run</code> on it. To see a whole
    fleet without any, <code>shoal simulate --devices 200</code>.</p>
</div>`;

const Nothing = ({ onClear }) => html`<div class="note row">
  <p>No device is like this.</p>
  <button class="button" type="button" onClick=${onClear}>Show all devices</button>
</div>`;

/** A device with several pipelines has several rows. */
const shownWords = (shown, total, of) => (shown === total ? plural(total, of) : `${number(shown)} of ${plural(total, of)}`);

function Tools({ text, setText, write, order, onOrder, shown, total, of, waiting }) {
  return html`<div class="toolbar">
    <label class="field filter">Filter
      <input type="search" value=${text} spellcheck=${false} autocomplete="off" enterkeyhint="search"
        placeholder="id, tag, release, phase, reason" aria-describedby="filter-words"
        onInput=${(event) => setText(event.target.value)} onBlur=${write} />
    </label>
    <span id="filter-words" class="unseen">Words must all be found. tag:line-3 asks for one thing exactly, a dash
      before a word for what is not so.</span>
    <${SortChoice} order=${order} onOrder=${onOrder} />
    <p class="shown" role="status">${shownWords(shown, total, of)}${waiting ? ", order held while you point at it" : ""}</p>
  </div>`;
}

/** All devices: filter, facets, and a table of which only the part in sight is drawn. */
export function Devices({ store, query }) {
  const version = useFleet(store);
  const [text, setText, write] = useFilter(query.q ?? "");
  const order = query.sort ?? "";
  const [held, setHeld] = useState(false);
  const { list, terms, waiting } = useOrder(store, version, text, order, held);
  const onOrder = useCallback((next) => amend({ sort: orderText(next) }), []);
  const entries = store.entries;
  if (store.told === null) return html`<p class="quiet" role="status">Reading the fleet</p>`;
  if (entries.length === 0) return store.certain ? html`<${Nobody} />` : html`<p class="quiet">No device is known yet.</p>`;
  return html`<div class="devices">
    <${Tools} text=${text} setText=${setText} write=${write} order=${parseOrder(order)} onOrder=${onOrder}
      shown=${list.length} total=${entries.length} of=${entries.some(({ row }) => row.pipeline !== "main") ? "pipeline" : "device"} waiting=${waiting} />
    <${Facets} entries=${entries} version=${version} terms=${terms} text=${text}
      onChoose=${(word) => setText(toggled(text, word))} />
    ${list.length === 0 ? html`<${Nothing} onClear=${() => setText("")} />` : null}
    <${Grid} list=${list} order=${parseOrder(order)} onOrder=${onOrder} onHold=${setHeld} />
  </div>`;
}
