// What the server tells by itself, and documents that follow it.

import { Refusal, get, listen } from "../api.js";
import { useCallback, useEffect, useRef, useState } from "../ui.js";
import { FleetStore } from "./fleet_store.js";

export const fleet = new FleetStore();

/** Events `rollout` (a rollout in brief) and `line` (of the ledger), each with its document as `detail`;
    `back`: the server is there again. */
export const news = new EventTarget();

const tell = (name, detail) => news.dispatchEvent(new CustomEvent(name, { detail }));

/** When the server went away, in milliseconds since 1970 (null: it is there), why where it said so, and why the table
    could not be read. */
export const server = { lostSince: null, why: "", failed: "" };

async function readFleet() {
  fleet.expect();
  try {
    const now = await get("api/fleet");
    server.failed = "";
    fleet.read(now);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    fleet.miss();
    server.failed = error.message;
  }
  tell("turned");
}

/** The table is asked for at once, so that it is soon there, and again when the stream is there: what changed in
    between is in neither. */
export function start() {
  readFleet();
  return listen(
    "api/stream",
    {
      fleet: (changed) => (changed.anew ? readFleet() : fleet.amend(changed)),
      broker: (turned) => fleet.turn(turned),
      rollout: (brief) => tell("rollout", brief),
      line: (line) => tell("line", line),
    },
    (lostSince, why = "") => {
      server.lostSince = lostSince;
      server.why = why;
      tell("turned");
      if (lostSince !== null) return;
      readFleet();
      tell("back");
    },
  );
}

/** Calls back for each of these events, for as long as the component is there. */
export function useNews(names, heard) {
  useEffect(() => {
    for (const name of names) news.addEventListener(name, heard);
    return () => {
      for (const name of names) news.removeEventListener(name, heard);
    };
  }, [heard]);
}

const AGAIN_MS = 1_000;

/** Calls back at most once a second, for each event of which `concerns` says that it matters, and each other `stamp`. */
function useChanges(address, concerns, stamp, changed) {
  const timer = useRef(0);
  const soon = () => {
    if (timer.current) return;
    timer.current = setTimeout(() => {
      timer.current = 0;
      changed();
    }, AGAIN_MS);
  };
  const first = useRef(stamp);
  useEffect(() => {
    if (first.current !== stamp) soon();
    first.current = stamp;
  }, [stamp]);
  useEffect(() => {
    const heard = (event) => {
      if (event.type === "back" || concerns(event)) soon();
    };
    const names = ["rollout", "line", "back"];
    for (const name of names) news.addEventListener(name, heard);
    return () => {
      clearTimeout(timer.current);
      timer.current = 0;
      for (const name of names) news.removeEventListener(name, heard);
    };
  }, [address]);
}

/** A document of the server, read anew when it may have changed.
 *
 * @param address of the document.
 * @param concerns(event) whether the event is about it.
 * @param stamp another one: it may have changed.
 * @returns {{document, error, again}} the newest one that was read, and why there is no newer one.
 */
export function useDocument(address, concerns = () => false, stamp = null) {
  const [state, setState] = useState({ address, document: null, error: "" });
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    get(address, { signal: stop.signal }).then(
      (document) => setState({ address, document, error: "" }),
      (error) => {
        if (stop.signal.aborted) return;
        setState((before) => ({ address, document: before.address === address ? before.document : null, error: error.message }));
      },
    );
    return () => stop.abort();
  }, [address, asked]);
  const again = useCallback(() => setAsked((before) => before + 1), []);
  useChanges(address, concerns, stamp, again);
  const known = state.address === address ? state : { document: null, error: "" };
  return { document: known.document, error: known.error, again };
}

/** As `useDocument`, and anew each `everyMs` where it is in sight. */
export function useDocumentEvery(address, everyMs) {
  const found = useDocument(address);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) found.again();
    }, everyMs);
    return () => clearInterval(timer);
  }, [address]);
  return found;
}
