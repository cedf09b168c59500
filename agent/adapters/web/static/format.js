// Numbers and instants as people read them. What is not told is a dash.

export const NONE = "–";

export function number(value, digits = 0) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  return value.toLocaleString("en-GB", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    signDisplay: "negative",
  });
}

/** Three significant digits, as far as they are worth reading. */
export function milliseconds(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  return `${number(value, size < 10 ? 2 : size < 100 ? 1 : 0)} ms`;
}

/** A share in [0, 1]. */
export function percent(share, digits = 0) {
  return share === null || share === undefined ? NONE : `${number(share * 100, digits)} %`;
}

export function celsius(value) {
  return value === null || value === undefined ? NONE : `${number(value, 1)} °C`;
}

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

export function bytes(value) {
  if (value === null || value === undefined) return NONE;
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${number(size, unit === 0 || size >= 100 ? 0 : 1)} ${UNITS[unit]}`;
}

/** Of a score: a probability as percent, anything else as the number that it is. */
export function score(value) {
  return value >= 0 && value <= 1 ? percent(value, value >= 0.9995 || value < 0.1 ? 1 : 0) : number(value, 2);
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  if (whole < 5400) return `${Math.round(whole / 60)} min`;
  if (whole < 172_800) return `${Math.round(whole / 3600)} h`;
  return `${Math.round(whole / 86_400)} days`;
}

function two(value) {
  return String(value).padStart(2, "0");
}

/** The clock of whoever looks; `at` is an ISO instant or milliseconds since 1970. */
export function clock(at, { millis = false } = {}) {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return NONE;
  const text = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return millis ? `${text}.${String(time.getMilliseconds()).padStart(3, "0")}` : text;
}

/** With the day where it is another one than today. */
export function instant(at, now = Date.now()) {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return NONE;
  if (new Date(now).toDateString() === time.toDateString()) return clock(time);
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${clock(time)}`;
}

export function shortDigest(digest) {
  return digest ? digest.slice(0, 12) : NONE;
}

export function plural(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** The first letter large, for a sentence made of another's words. */
export function sentence(words) {
  return words ? words[0].toUpperCase() + words.slice(1) : "";
}
