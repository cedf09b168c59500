// Charts of uPlot (vendored), in the page's colours, of the size of their place, each with a table beside it.
import { clock, number } from "./format.js";
import { html, useEffect, useLayoutEffect, useRef } from "./ui.js";
import { Table } from "./components.js";

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3], [12, 4]];
/** Lines differ by dash as well as by colour. */

function axis(values, size) {
  return {
    stroke: colour("--text"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1 },
    font: "12px system-ui, sans-serif",
    size,
    values,
  };
}

/** Values without a neighbour, which no line comes by. */
function alone(plot, series) {
  const values = plot.data[series];
  const known = (at) => (values[at] ?? null) !== null;
  return values.flatMap((_, at) => (known(at) && !known(at - 1) && !known(at + 1) ? [at] : []));
}

function drawn(series, at, stacked) {
  const stroke = colour(`--series-${(at % 5) + 1}`);
  return {
    label: series.words,
    stroke,
    width: stacked ? 1 : 2,
    dash: stacked ? [] : DASHES[at % DASHES.length],
    points: { show: !stacked, filter: alone, size: 5, fill: stroke },
    fill: stacked ? stroke : undefined,
    spanGaps: false,
  };
}

/** uPlot draws areas down to nothing, so that the tallest pile comes first. */
function piled(columns) {
  const sums = [];
  columns.reduce((below, column) => {
    const sum = column.map((value, at) => (value === null ? null : value + (below?.[at] ?? 0)));
    sums.push(sum);
    return sum;
  }, null);
  return sums.reverse();
}

/** Hours and minutes, and seconds where ticks are less than a minute apart. */
function times(_, ticks) {
  const fine = ticks.length > 1 && ticks[1] - ticks[0] < 60;
  return ticks.map((tick) => (fine ? clock(tick * 1000) : clock(tick * 1000).slice(0, 5)));
}

function options({ series, width, height, stacked, unit, ends, top }) {
  const lines = series.map((one, at) => drawn(one, at, stacked));
  return {
    width,
    height,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 28, 0, 0],
    scales: {
      x: { time: true, range: (_, first, last) => ends.current ?? [first ?? 0, last ?? 1] },
      y: { range: (_, low, high) => [0, Math.max(top ?? 1, (high ?? 1) * 1.1)] },
    },
    axes: [{ ...axis(times, 28), space: 76 }, axis((_, ticks) => ticks.map((tick) => `${number(tick, tick % 1 ? 1 : 0)}${unit}`), 64)],
    series: [{}, ...(stacked ? lines.reverse() : lines)],
  };
}

function Key({ series, stacked }) {
  return html`<ul class="key" aria-hidden="true">
    ${series.map(
      (one, at) => html`<li key=${one.words}>
        <svg viewBox="0 0 24 12">
          ${stacked
            ? html`<rect width="24" height="12" fill=${`var(--series-${(at % 5) + 1})`} />`
            : html`<line
                x1="0"
                y1="6"
                x2="24"
                y2="6"
                stroke=${`var(--series-${(at % 5) + 1})`}
                stroke-width="3"
                stroke-dasharray=${DASHES[at % DASHES.length].join(" ")}
              />`}
        </svg>
        <bdi>${one.words}</bdi>
      </li>`,
    )}
  </ul>`;
}

function useChart(place, { series, stacked, unit, height, span, top, columns }) {
  const plot = useRef(null);
  const ends = useRef(span);
  ends.current = span;
  const wanted = useRef(columns);
  wanted.current = columns;
  const names = series.map((one) => one.words).join("\n");
  useLayoutEffect(() => {
    const element = place.current;
    const make = () => {
      plot.current?.destroy();
      const width = Math.max(120, element.clientWidth);
      plot.current = new globalThis.uPlot(
        options({ series, width, height, stacked, unit, ends, top }),
        wanted.current,
        element,
      );
    };
    make();
    const resized = new ResizeObserver(() => {
      const width = Math.max(120, element.clientWidth);
      if (width !== plot.current.width) plot.current.setSize({ width, height });
    });
    resized.observe(element);
    const theme = matchMedia("screen and (prefers-color-scheme: dark)");
    theme.addEventListener("change", make);
    return () => {
      theme.removeEventListener("change", make);
      resized.disconnect();
      plot.current.destroy();
      plot.current = null;
    };
  }, [names, stacked, unit, height, top]);
  return plot;
}

/**
 * A chart over time.
 *
 * `times` are seconds since 1970, ascending; `series` are {words, values}, with null where nothing is known;
 * `span` is a pair of the ends of the axis in seconds; without it the data give them. `summary` is the chart in one sentence, for who
 * does not see it; the table below says the newest `tableRows` points.
 */
export function TimeChart({
  summary,
  times,
  series,
  stacked = false,
  unit = "",
  digits = 1,
  height = 200,
  span,
  top,
  tableRows = 20,
  timeWords = (seconds) => clock(seconds * 1000),
}) {
  const place = useRef(null);
  const values = series.map((one) => one.values);
  const columns = [times, ...(stacked ? piled(values) : values)];
  const plot = useChart(place, { series, stacked, unit, height, span, top, columns });
  useEffect(() => plot.current?.setData(columns), [times, ...values]);
  return html`<div class="chart">
    <${Key} series=${series} stacked=${stacked} />
    <div class="plot" ref=${place} role="img" aria-label=${summary}></div>
    <${AsTable} ...${{ summary, times, series, unit, digits, tableRows, timeWords }} />
  </div>`;
}

function AsTable({ summary, times, series, unit, digits, tableRows, timeWords }) {
  const opened = useRef(null);
  const rows = opened.current?.open ? times.map((_, at) => at).slice(-tableRows).reverse() : [];
  const columns = [
    { key: "time", words: "Time", cell: (at) => timeWords(times[at]) },
    ...series.map((one) => ({
      key: one.words,
      words: one.words,
      number: true,
      cell: (at) => `${number(one.values[at], digits)}${one.values[at] === null ? "" : unit}`,
    })),
  ];
  return html`<details ref=${opened}>
    <summary>As a table</summary>
    <${Table} caption=${summary} columns=${columns} rows=${rows} rowKey=${(at) => times[at]} height="16rem" />
  </details>`;
}
