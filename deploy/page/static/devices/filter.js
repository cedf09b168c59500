// What is typed above the devices, as a question to each of them.
//
//   word            the word is somewhere in the id, a tag, the release, the phase, the reason or the hardware
//   key:value       one thing exactly, such as tag:line-3, hardware:cpu, phase:trial, is:offline
//   -word, -key:…   not that

const EMPTY = "none";

const KEYS = {
  is: (row) => [row.online ? "online" : "offline", ...(row.paused ? ["paused"] : []), ...(row.degraded ? ["degraded"] : [])],
  id: (row) => [row.device],
  tag: (row) => row.tags,
  hardware: (row) => [row.hardware],
  release: (row) => [row.running, row.running.split("@")[0]],
  candidate: (row) => [row.candidate],
  phase: (row) => [row.phase ?? ""],
  reason: (row) => [row.code],
  delegate: (row) => [row.delegate],
  camera: (row) => [row.camera ?? ""],
  standing: (row) => [row.standing ?? ""],
  pipeline: (row) => [row.pipeline],
  stream: (row) => [row.stream],
};

const FACETS = [
  { key: "is", title: "Connection", of: (row) => [row.online ? "online" : "offline"] },
  { key: "phase", title: "Phase", of: (row) => [row.phase || EMPTY] },
  { key: "hardware", title: "Hardware", of: (row) => [row.hardware || EMPTY] },
  { key: "release", title: "Release", of: (row) => [row.running || EMPTY] },
  { key: "standing", title: "Standing", of: (row) => [row.standing || EMPTY] },
  { key: "reason", title: "Reason", of: (row) => [row.code || EMPTY] },
];

/** All that a plain word is looked for in. */
export function haystack(row) {
  return [
    row.device, row.pipeline === "main" ? "" : row.pipeline, row.running, row.candidate, row.phase,
    row.code, row.why, row.hardware, row.delegate, row.degraded, row.camera, row.standing,
    row.online ? "online" : "offline", ...row.tags,
  ].filter(Boolean).join("\n").toLowerCase();
}

/** @returns {{key: string, value: string, not: boolean}[]}; a key that there is not makes a plain word. */
export function parse(text) {
  return text.toLowerCase().split(/\s+/).filter((word) => word && word !== "-").map((word) => {
    const not = word.startsWith("-");
    const asked = not ? word.slice(1) : word;
    const colon = asked.indexOf(":");
    const key = asked.slice(0, Math.max(colon, 0));
    return key in KEYS ? { key, value: asked.slice(colon + 1), not } : { key: "", value: asked, not };
  });
}

function holds(term, row, hay) {
  if (!term.key) return hay.includes(term.value);
  if (!term.value) return true;
  const told = KEYS[term.key](row);
  if (term.value === EMPTY && told.every((each) => !each)) return true;
  return told.some((each) => each.toLowerCase() === term.value);
}

/** Values of one key widen each other, different keys narrow: phase:trial phase:held tag:line-3. */
export function matcher(terms) {
  const groups = new Map();
  for (const term of terms) {
    const name = term.key && !term.not ? term.key : groups.size;
    groups.set(name, [...(groups.get(name) ?? []), term]);
  }
  const every = [...groups.values()];
  return (row, hay) => every.every((group) => group.some((term) => holds(term, row, hay) !== term.not));
}

/** The text with one word more, or without it where it was there. */
export function toggled(text, word) {
  const words = text.split(/\s+/).filter(Boolean);
  const wanted = word.toLowerCase();
  const rest = words.filter((each) => each.toLowerCase() !== wanted);
  return (rest.length < words.length ? rest : [...words, word]).join(" ");
}

/** How many rows each value of each facet would show beside what is asked for besides.
 *
 * @param entries {{row, hay}[]}
 * @returns {{key, title, values: {value, count, chosen}[]}[]}
 */
export function facets(entries, terms) {
  return FACETS.map(({ key, title, of }) => {
    const chosen = new Set(terms.filter((term) => term.key === key && !term.not).map((term) => term.value));
    const matches = matcher(terms.filter((term) => term.key !== key || term.not));
    const counts = new Map([...chosen].map((value) => [value, 0]));
    for (const { row, hay } of entries) {
      if (!matches(row, hay)) continue;
      for (const value of of(row)) counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    const values = merged(counts, chosen);
    return { key, title, values };
  });
}

function merged(counts, chosen) {
  const known = new Map();
  for (const [value, count] of counts) {
    const lower = value.toLowerCase();
    const before = known.get(lower);
    const shown = before && before.count > 0 ? before.value : value;
    known.set(lower, { value: shown, count: count + (before?.count ?? 0), chosen: chosen.has(lower) });
  }
  return [...known.values()].sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1));
}
