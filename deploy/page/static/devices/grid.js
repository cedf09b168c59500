import { html, useEffect, useLayoutEffect, useState } from "../../ui.js";
import { Head } from "./head.js";
import { Row, address } from "./row.js";
import { useWindow } from "./window.js";

const ROW_PX = 40;
const CARD_PX = 72;
const HEAD_PX = 40;
const NARROW = matchMedia("(max-width: 799px)");

function useNarrow() {
  const [narrow, setNarrow] = useState(NARROW.matches);
  useEffect(() => {
    const changed = () => setNarrow(NARROW.matches);
    NARROW.addEventListener("change", changed);
    return () => NARROW.removeEventListener("change", changed);
  }, []);
  return narrow;
}

function moved(key, place, page, last) {
  switch (key) {
    case "ArrowDown": return Math.min(place + 1, last);
    case "ArrowUp": return Math.max(place - 1, 0);
    case "PageDown": return Math.min(place + page, last);
    case "PageUp": return Math.max(place - page, 0);
    case "Home": return 0;
    case "End": return last;
    default: return null;
  }
}

/** The place that the keyboard is at, and what its keys do. */
function useKeyboard(list, view, rowPx) {
  const [active, setActive] = useState(null);
  const place = active ? list.indexOf(active) : -1;
  const onKeyDown = (event) => {
    const scroller = view.scroller.current;
    if (event.ctrlKey || event.altKey || event.metaKey || event.target !== scroller) return;
    if (event.key === "Enter" && place >= 0) location.hash = address(active.row);
    const page = Math.max(1, Math.floor(scroller.clientHeight / rowPx) - 2);
    const next = list.length ? moved(event.key, place, page, list.length - 1) : null;
    if (next === null) return;
    event.preventDefault();
    setActive(list[next]);
    view.reveal(next);
  };
  return { place, onKeyDown };
}

function Rows({ list, view, rowPx, active }) {
  return html`<div role="rowgroup" class="grid-body" style=${{ height: `${list.length * rowPx}px` }}>
    ${list.slice(view.first, view.end).map(({ key, row, gone }, offset) => {
      const place = view.first + offset;
      return html`<${Row} key=${key} name=${key} row=${row} gone=${gone} place=${place}
        top=${place * rowPx} active=${place === active} />`;
    })}
  </div>`;
}

/** The table. `onHold(true)`: somebody points at it or is in it with the keyboard, so nothing may move. */
export function Grid({ list, order, onOrder, onHold }) {
  const narrow = useNarrow();
  const rowPx = narrow ? CARD_PX : ROW_PX;
  const view = useWindow(list.length, rowPx, narrow ? 0 : HEAD_PX);
  const keyboard = useKeyboard(list, view, rowPx);
  useLayoutEffect(() => { view.scroller.current.scrollTop = 0; }, [order.key, order.down]);
  const drawn = keyboard.place >= view.first && keyboard.place < view.end;
  return html`<div class="grid ${narrow ? "narrow" : ""}" role="grid" tabindex="0" ref=${view.scroller}
      aria-label="Devices" aria-rowcount=${list.length + 1} aria-activedescendant=${drawn ? `row-${keyboard.place}` : undefined}
      onScroll=${view.look} onKeyDown=${keyboard.onKeyDown}
      onPointerEnter=${() => onHold(true)} onPointerLeave=${() => onHold(false)}
      onFocus=${() => onHold(true)} onBlur=${() => onHold(false)}>
    <${Head} order=${order} onOrder=${onOrder} narrow=${narrow} />
    <${Rows} list=${list} view=${view} rowPx=${rowPx} active=${keyboard.place} />
  </div>`;
}
