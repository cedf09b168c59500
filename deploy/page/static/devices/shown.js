// Which devices are shown, and in which order.

import { useEffect, useMemo, useRef, useState } from "../../ui.js";
import { amend } from "../router.js";
import { matcher, parse } from "./filter.js";
import { parseOrder, sorted } from "./order.js";

const WRITE_AFTER_MS = 300;

/** The filter as it is typed; the address follows a little later, or by `write`, and leads when somebody goes back. */
export function useFilter(asked) {
  const [text, setText] = useState(asked);
  const written = useRef(asked);
  useEffect(() => {
    if (asked !== written.current) setText(asked);
    written.current = asked;
  }, [asked]);
  const write = () => {
    if (text.trim() === written.current) return;
    written.current = text.trim();
    amend({ q: written.current });
  };
  useEffect(() => {
    const timer = setTimeout(write, WRITE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return [text, setText, write];
}

const alike = (one, other) => one.length === other.length && one.every((entry, place) => entry === other[place]);

/** Entries in their order. While it is held nothing moves: what changes is shown where it stands.
 *
 * @returns {{list, terms, waiting}}; `waiting` says that the order would be another one.
 */
export function useOrder(store, version, text, order, held) {
  const shown = useRef({ list: [], text: null, order: null });
  return useMemo(() => {
    const terms = parse(text);
    const matches = matcher(terms);
    const list = sorted(store.entries.filter(({ row, hay }) => matches(row, hay)), parseOrder(order));
    const before = shown.current;
    const asked = before.text !== text || before.order !== order || before.list.length === 0;
    if (held && !asked && !alike(list, before.list)) return { list: before.list, terms, waiting: true };
    shown.current = { list, text, order };
    return { list, terms, waiting: false };
  }, [store, version, text, order, held]);
}
