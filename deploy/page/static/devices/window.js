// The rows that are in sight, of any number of equal height.

import { useCallback, useLayoutEffect, useRef, useState } from "../../ui.js";

const BEYOND = 6;

/** @returns {{first: number, end: number}} of `total` rows, those to be drawn. */
function range(scrollTop, height, rowHeight, total) {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - BEYOND);
  const end = Math.min(total, Math.ceil((scrollTop + height) / rowHeight) + BEYOND);
  return { first: Math.min(first, Math.max(0, end - 1)), end };
}

/** Follows how far an element is scrolled and how tall it is.
 *
 * @param total rows.
 * @param rowHeight in pixels.
 * @param headHeight in pixels, of what stays on top of the rows.
 */
export function useWindow(total, rowHeight, headHeight) {
  const scroller = useRef(null);
  const [seen, setSeen] = useState({ top: 0, height: 800 });
  const look = useCallback(() => {
    const { scrollTop, clientHeight } = scroller.current;
    setSeen((before) => (before.top === scrollTop && before.height === clientHeight ? before : { top: scrollTop, height: clientHeight }));
  }, []);
  useLayoutEffect(() => {
    const sizes = new ResizeObserver(look);
    sizes.observe(scroller.current);
    look();
    return () => sizes.disconnect();
  }, []);
  useLayoutEffect(look, [total]);
  const reveal = useCallback((place) => {
    const element = scroller.current;
    const top = place * rowHeight;
    const room = element.clientHeight - headHeight - rowHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top > element.scrollTop + room) element.scrollTop = top - room;
  }, [rowHeight, headHeight]);
  return { scroller, look, reveal, ...range(seen.top, seen.height, rowHeight, total) };
}
