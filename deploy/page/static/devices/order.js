// The columns of the devices, and the order that each of them makes.

const PHASES = { probation: 0, trial: 1, fetching: 2, held: 3, idle: 4 };
const STANDINGS = ["failed", "silent", "vanished", "away", "held", "degraded", "pending", "offline", "healthy"];

const AS_COUNTED = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** `by` gives what is compared: numbers by size, text as people count (pi-2 before pi-10). */
export const COLUMNS = [
  { key: "device", title: "Device", by: (row) => row.device },
  { key: "online", title: "Connection", by: (row) => (row.online ? 1 : 0) },
  { key: "release", title: "Release", by: (row) => row.running },
  { key: "phase", title: "Phase", by: (row) => PHASES[row.phase] ?? 9 },
  { key: "standing", title: "Standing", by: (row) => rank(STANDINGS, row.standing) },
  { key: "why", title: "Why", by: (row) => `${row.urgency} ${row.code}` },
  { key: "hardware", title: "Hardware", by: (row) => row.hardware },
  { key: "reported", title: "Reported", by: (row) => (row.at === null ? 0 : Date.parse(row.at)) },
];

const ORDER = "why";
/** What a person should look at first. */

function rank(names, name) {
  const place = names.indexOf(name);
  return place < 0 ? names.length : place;
}

/** Entries in their order; equal ones by id, so that nothing jumps. Text is compared once a value. */
export function sorted(entries, { key, down }) {
  const column = COLUMNS.find((each) => each.key === key) ?? COLUMNS[0];
  const ranks = ranking(entries, column.by);
  const sign = down ? -1 : 1;
  return entries
    .map((entry) => ({ entry, at: ranks(column.by(entry.row)) }))
    .sort((a, b) => sign * (a.at - b.at) || a.entry.place - b.entry.place)
    .map(({ entry }) => entry);
}

function ranking(entries, by) {
  if (entries.length === 0 || typeof by(entries[0].row) === "number") return (value) => value;
  const values = [...new Set(entries.map(({ row }) => by(row)))].sort(AS_COUNTED.compare);
  const places = new Map(values.map((value, place) => [value, place]));
  return (value) => places.get(value);
}

/** Gives every entry its place by id; done when devices come or go and not for each order. */
export function number(entries) {
  const order = [...entries].sort((a, b) => AS_COUNTED.compare(a.key, b.key));
  order.forEach((entry, place) => { entry.place = place; });
  return order;
}

/** "phase" up, "-phase" down. */
export const parseOrder = (text) => ({ key: text.replace(/^-/, "") || ORDER, down: text.startsWith("-") });
export const orderText = ({ key, down }) => (down ? `-${key}` : key === ORDER ? "" : key);
