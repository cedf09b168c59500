import { html } from "../../ui.js";
import { COLUMNS } from "./order.js";

const turned = (order, key) => ({ key, down: order.key === key && !order.down });

function Column({ column, order, onOrder }) {
  const here = order.key === column.key;
  const way = here ? (order.down ? "descending" : "ascending") : "none";
  return html`<div role="columnheader" class="cell ${column.key}" aria-sort=${way}>
    <button type="button" onClick=${() => onOrder(turned(order, column.key))}>${column.title}<span
      aria-hidden="true" class="way">${here ? (order.down ? "▼" : "▲") : ""}</span></button>
  </div>`;
}

/** On a narrow screen the columns are not beside each other, and `SortChoice` orders. */
export function Head({ order, onOrder, narrow }) {
  return html`<div role="rowgroup" class="grid-head ${narrow ? "unseen" : ""}">
    <div role="row" aria-rowindex="1" class="grid-row">
      ${COLUMNS.map((column) => narrow
        ? html`<div role="columnheader" key=${column.key}>${column.title}</div>`
        : html`<${Column} key=${column.key} column=${column} order=${order} onOrder=${onOrder} />`)}
    </div>
  </div>`;
}

export function SortChoice({ order, onOrder }) {
  return html`<div class="sort-choice row">
    <label class="field inline">Sort
      <select value=${order.key} onChange=${(event) => onOrder({ key: event.target.value, down: order.down })}>
        ${COLUMNS.map(({ key, title }) => html`<option key=${key} value=${key}>${title}</option>`)}
      </select>
    </label>
    <button class="button" type="button" aria-pressed=${order.down}
      aria-label="Descending" onClick=${() => onOrder({ ...order, down: !order.down })}>${order.down ? "▼" : "▲"}</button>
  </div>`;
}
