// What the pages of a device and of a fleet are put together from.
import { score } from "./format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./ui.js";

let ids = 0;

/** An id for aria-labelledby and the like, the same for the life of the component. */
function useId(stem) {
  const id = useRef("");
  if (!id.current) id.current = `${stem}-${++ids}`;
  return id.current;
}

/** A part of the page, with a heading. `aside`: what stands at the right of it. */
export function Card({ title, aside, children, kind = "" }) {
  const id = useId("card");
  return html`<section class="card ${kind}" aria-labelledby=${id}>
    <header>
      <h2 id=${id}>${title}</h2>
      ${aside && html`<div class="push row">${aside}</div>`}
    </header>
    ${children}
  </section>`;
}

/** `tone`: good, warn, bad, or nothing. The words alone must tell it. */
export function Badge({ tone = "", title, children }) {
  return html`<span class="badge ${tone}" title=${title}>${children}</span>`;
}

export function Note({ tone = "", children }) {
  return html`<p class="note ${tone}">${children}</p>`;
}

export function Button({ kind = "", children, ...rest }) {
  return html`<button type="button" class="button ${kind}" ...${rest}>${children}</button>`;
}

/** `facts`: pairs of a term and what is said of it. Those of nothing are left out. */
export function Facts({ facts }) {
  return html`<dl class="facts">
    ${facts
      .filter(([, said]) => said !== null && said !== undefined && said !== "")
      .flatMap(([term, said]) => [html`<dt key=${`t ${term}`}>${term}</dt>`, html`<dd key=${`d ${term}`}>${said}</dd>`])}
  </dl>`;
}

/** Labels with bars, best first. The bar of a score that is no probability is relative to the best. */
export function Ranking({ ranked, label = "Ranked labels" }) {
  const best = Math.max(...ranked.map((one) => one.score), Number.MIN_VALUE);
  const probable = ranked.every((one) => one.score >= 0 && one.score <= 1);
  return html`<ol class="ranking" aria-label=${label}>
    ${ranked.map((one) => {
      const share = probable ? one.score : Math.max(0, one.score / best);
      return html`<li key=${one.index}>
        <span class="bar" style=${{ transform: `scaleX(${share})` }}></span>
        <span class="clamp" dir="auto" title=${one.label}>${one.label || `class ${one.index}`}</span>
        <span class="number">${score(one.score)}</span>
      </li>`;
    })}
  </ol>`;
}

/**
 * Tabs that arrows move along. `tabs`: pairs of a key and its words; `panel` is the id of what they switch.
 */
export function Tabs({ label, tabs, chosen, choose, panel }) {
  const list = useRef(null);
  function move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = tabs.findIndex(([key]) => key === chosen);
    let to = at;
    if (step) to = (at + step + tabs.length) % tabs.length;
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = tabs.length - 1;
    else return;
    event.preventDefault();
    choose(tabs[to][0]);
    list.current.children[to].focus();
  }
  return html`<div class="tabs" role="tablist" aria-label=${label} ref=${list} onKeyDown=${move}>
    ${tabs.map(
      ([key, words]) => html`<button
        key=${key}
        type="button"
        role="tab"
        aria-selected=${key === chosen ? "true" : "false"}
        aria-controls=${panel}
        tabindex=${key === chosen ? 0 : -1}
        onClick=${() => choose(key)}
      >
        ${words}
      </button>`,
    )}
  </div>`;
}

/**
 * A table in a box that scrolls by itself, and that the keyboard reaches.
 *
 * `columns`: {key, words, number?, cell(row)}; `rowKey(row)` tells rows apart.
 */
export function Table({ caption, columns, rows, rowKey, height, empty = "Nothing yet." }) {
  if (rows.length === 0) return html`<p class="quiet">${empty}</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption} style=${height && { maxHeight: height }}>
    <table class="table">
      <caption class="unseen">${caption}</caption>
      <thead>
        <tr>
          ${columns.map((one) => html`<th key=${one.key} scope="col" class=${one.number ? "number" : ""}>${one.words}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) => html`<tr key=${rowKey(row)}>
            ${columns.map((one) => html`<td key=${one.key} class=${one.number ? "number" : one.prose ? "prose" : ""}>${one.cell(row)}</td>`)}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** Modal, closed by Escape; focus goes in and returns to where it was. */
function Dialog({ title, close, children, actions }) {
  const element = useRef(null);
  const id = useId("dialog");
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog.showModal();
    return () => dialog.open && dialog.close();
  }, []);
  return html`<dialog class="dialog" ref=${element} aria-labelledby=${id} onClose=${close}>
    <h2 id=${id}>${title}</h2>
    <div class="stack">${children}</div>
    <div class="actions">${actions}</div>
  </dialog>`;
}

/**
 * Asks before something is done. `act` may be async and throw a Refusal, which is then shown in the dialog.
 * The first control that is reached is the harmless one.
 */
export function Confirm({ title, verb, danger = false, act, close, children }) {
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState("");
  async function run() {
    setBusy(true);
    setRefused("");
    try {
      await act();
      close();
    } catch (error) {
      setBusy(false);
      setRefused(error.message);
    }
  }
  const actions = html`
    <${Button} onClick=${close} autofocus>Cancel</${Button}>
    <${Button} kind=${danger ? "danger" : "first"} disabled=${busy} onClick=${run}>${verb}</${Button}>`;
  return html`<${Dialog} title=${title} close=${close} actions=${actions}>
    ${children}
    ${refused && html`<p class="note bad" role="alert">${refused}</p>`}
  </${Dialog}>`;
}

const TOAST_MS = 6_000;
const toasts = { shown: [], listeners: new Set() };

function tellToasts() {
  for (const listener of toasts.listeners) listener([...toasts.shown]);
}

/** Says one sentence at the foot of the page for a while; screen readers speak it. */
export function toast(words) {
  const one = { words, key: ++ids };
  toasts.shown = [...toasts.shown.slice(-2), one];
  tellToasts();
  setTimeout(() => {
    toasts.shown = toasts.shown.filter((other) => other !== one);
    tellToasts();
  }, TOAST_MS);
}

/** Once a page. */
export function Toasts() {
  const [shown, setShown] = useState([]);
  useEffect(() => {
    toasts.listeners.add(setShown);
    return () => toasts.listeners.delete(setShown);
  }, []);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${shown.map((one) => html`<p key=${one.key} class="toast">${one.words}</p>`)}
  </div>`;
}

/** Does what may be refused, and says either way how it went. */
export async function attempt(act, done) {
  try {
    await act();
    if (done) toast(done);
  } catch (error) {
    toast(error.message);
  }
}
