import { html, useMemo } from "../../ui.js";
import { number as count } from "../../format.js";
import { facets } from "./filter.js";

const SHOWN = 6;

function Value({ facet, value, onChoose }) {
  return html`<li><button type="button" class="facet" aria-pressed=${value.chosen}
    onClick=${() => onChoose(`${facet.key}:${value.value}`)}>${value.value} <b>${count(value.count)}</b></button></li>`;
}

/** How many devices there are of each kind; each count is a button that shows these, or all again. */
export function Facets({ entries, version, terms, text, onChoose }) {
  const found = useMemo(() => facets(entries, terms), [version, text]);
  const telling = found.filter(({ values }) => values.length > 1 || values.some(({ chosen }) => chosen));
  return html`<div class="facets" role="group" aria-label="Counts that filter">
    ${telling.map((facet) => html`<div key=${facet.key} class="facet-group">
      <h2 id=${`facet-${facet.key}`}>${facet.title}</h2>
      <ul aria-labelledby=${`facet-${facet.key}`}>${shown(facet).map((value) =>
        html`<${Value} key=${value.value} facet=${facet} value=${value} onChoose=${onChoose} />`)}</ul>
    </div>`)}
  </div>`;
}

/** Those that are chosen always; else the most frequent. */
function shown({ values }) {
  return values.filter(({ chosen }, place) => chosen || place < SHOWN);
}
