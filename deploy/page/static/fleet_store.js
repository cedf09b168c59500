// What the browser knows of the fleet: read once, then kept up by what changed.

import { useEffect, useState } from "../ui.js";
import { haystack } from "./devices/filter.js";
import { number } from "./devices/order.js";

/** What a row leaves out is as here. */
const DEFAULTS = {
  pipeline: "main", online: false, running: "", delegate: "", phase: null, candidate: "", done_share: null, code: "",
  why: "", standing: null, urgency: 6, hardware: "", tags: [], plan: null, at: null, degraded: "", camera: null,
  paused: false, stream: "",
};

const keyOf = (row) => (row.pipeline === "main" ? row.device : `${row.device}/${row.pipeline}`);

export class FleetStore {
  #entries = new Map();
  #ordered = [];
  #listeners = new Set();
  #telling = false;
  #readings = 0;
  #early = [];

  /** Counts up with everything that is learnt. */
  version = 0;
  /** All of /api/fleet but the rows; null before it is here. */
  told = null;

  /** By id. An entry stays the same object for as long as the page knows the device: {key, row, hay, place, gone}. */
  get entries() {
    return this.#ordered;
  }

  /** Whether what is not here is nowhere. */
  get certain() {
    return this.told.broker.up && !this.told.missing.length && !this.told.fault;
  }

  entry(key) {
    return this.#entries.get(key);
  }

  /** A reading is on its way: what changes until it is here is applied to it, too. `read` or `miss` ends it. */
  expect() {
    this.#readings += 1;
  }

  miss() {
    this.#readings -= 1;
    if (this.#readings === 0) this.#early = [];
  }

  read({ rows, ...told }) {
    const before = this.#entries;
    this.told = told;
    this.#entries = new Map();
    for (const each of rows) {
      const row = { ...DEFAULTS, ...each };
      const key = keyOf(row);
      this.#entries.set(key, put(before.get(key) ?? { key }, row));
      before.delete(key);
    }
    for (const entry of before.values()) entry.gone = true;
    this.#ordered = number(this.#entries.values());
    for (const changed of this.#early) this.#apply(changed);
    this.miss();
    this.#tell();
  }

  /** What changed since, unless it is older than what is known. */
  amend(changed) {
    if (this.#readings > 0) this.#early.push(changed);
    if (this.told === null) return;
    this.#apply(changed);
    this.#tell();
  }

  #apply({ rows = [], gone = [], ...told }) {
    if (told.version <= this.told.version) return;
    this.told = { ...this.told, missing: [], refused: [], fault: "", ...told };
    const known = this.#entries.size;
    for (const each of rows) {
      const row = { ...DEFAULTS, ...each };
      const key = keyOf(row);
      this.#entries.set(key, put(this.#entries.get(key) ?? { key }, row));
    }
    const left = gone.filter((key) => this.#drop(key)).length;
    if (left || this.#entries.size !== known) this.#ordered = number(this.#entries.values());
  }

  /** The broker or the controller came or went. */
  turn(told) {
    if (this.told === null) return;
    this.told = { ...this.told, ...told };
    this.#tell();
  }

  #drop(key) {
    const entry = this.#entries.get(key);
    if (entry) entry.gone = true;
    return this.#entries.delete(key);
  }

  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell() {
    this.version += 1;
    if (this.#telling) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      for (const listener of this.#listeners) listener(this.version);
    });
  }
}

function put(entry, row) {
  entry.row = row;
  entry.hay = haystack(row);
  entry.gone = false;
  return entry;
}

/** Draws anew when the fleet is another. */
export function useFleet(store) {
  const [version, setVersion] = useState(store.version);
  useEffect(() => {
    setVersion(store.version);
    return store.listen(setVersion);
  }, [store]);
  return version;
}
