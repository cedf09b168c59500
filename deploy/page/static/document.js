import { sentence } from "../format.js";
import { html } from "../ui.js";

/** A document of the server: on its way, there, or why there is none or no newer one.
 *
 * @param found as of `useDocument`.
 * @param what is read, in words.
 * @param draw(document) what is shown of it.
 */
export function Document({ found: { document, error }, what, draw }) {
  return html`<div class="stack">
    <div role="status">${error ? html`<p class="note bad">${sentence(error)}</p>`
      : document === null ? html`<p class="quiet">Reading ${what}</p>` : null}</div>
    ${document !== null && draw(document)}
  </div>`;
}
