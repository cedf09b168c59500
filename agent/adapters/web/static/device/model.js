// What the page knows of the device: the document `Now`, and each `Happening` laid onto it.

const LOG_KEPT = 5_000;
const WINDOWS_KEPT = 720;
const EVENTS_KEPT = 200;
const PAST_KEPT = 50;
const SLACK = 500;

/** Grows at its end; the oldest go several at a time, for moving all of them is dear. */
function keep(list, one, most) {
  list.push(one);
  if (list.length > most + SLACK) list.splice(0, list.length - most);
}

function pipelineOf(now, before) {
  const frames = before ? joined(before.frames, now.frames) : [...now.frames];
  return {
    report: now.report,
    offered: now.offered ?? null,
    frames,
    telemetry: [...now.telemetry],
    past: [...now.past],
    shown: null,
    // Whether the agent that runs now has classified anything: before that there is no picture to ask for.
    begun: now.frames.length > 0,
  };
}

/** What was seen before the stream broke, and what is told since: a frame is the same at the same instant. */
function joined(before, told) {
  if (told.length === 0) return before;
  const first = Date.parse(told[0].at);
  return [...before.filter((frame) => Date.parse(frame.at) < first), ...told];
}

export class Device {
  constructor() {
    this.now = null;
    this.pipelines = {};
    this.events = [];
    this.broker = null;
    this.lostSince = null;
    /** How often it has told all of itself. */
    this.beginnings = 0;
    /** How far the device's clock is ahead of this one. */
    this.aheadMs = 0;
  }

  began(now) {
    const before = this.pipelines;
    this.now = now;
    this.beginnings += 1;
    this.aheadMs = Date.parse(now.at) - Date.now();
    this.broker = now.broker ?? null;
    this.events = [...now.events];
    this.pipelines = Object.fromEntries(
      Object.entries(now.pipelines).map(([name, one]) => [name, pipelineOf(one, before[name])]),
    );
  }

  frame(seen) {
    const at = this.pipelines[seen.pipeline];
    if (!at) return;
    keep(at.frames, seen, LOG_KEPT);
    at.begun = true;
  }

  report({ report, offered }) {
    const at = this.pipelines[report.pipeline ?? "main"];
    if (!at) return;
    const ended = report.last;
    if (ended && !same(ended, at.report.last)) {
      at.past = [{ at: report.at, ended }, ...at.past].slice(0, PAST_KEPT);
    }
    at.report = report;
    at.offered = offered ?? null;
  }

  telemetry({ pipeline, telemetry }) {
    const at = this.pipelines[pipeline];
    if (at) keep(at.telemetry, telemetry, WINDOWS_KEPT);
  }

  event(happened) {
    this.events = [happened, ...this.events].slice(0, EVENTS_KEPT);
  }

  /** The classified frame of this number, looked for from the newest on. */
  classified(pipeline, sequence) {
    const frames = this.pipelines[pipeline]?.frames ?? [];
    for (let at = frames.length - 1; at >= 0 && at > frames.length - 200; at -= 1) {
      if (frames[at].sequence === sequence) return frames[at];
    }
    return null;
  }
}

function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other ?? null);
}

/** Frames a second over the last seconds, by the device's clock; null where there are too few to tell. */
export function rate(frames, spanMs = 5_000) {
  const last = frames.at(-1);
  if (!last) return null;
  const end = Date.parse(last.at);
  let at = frames.length - 1;
  while (at > 0 && end - Date.parse(frames[at - 1].at) <= spanMs) at -= 1;
  const took = end - Date.parse(frames[at].at);
  return took > 0 ? ((frames.length - 1 - at) * 1000) / took : null;
}

/** The frames of the last so many milliseconds before `end`. */
export function since(frames, end, spanMs) {
  let at = frames.length;
  while (at > 0 && end - Date.parse(frames[at - 1].at) <= spanMs) at -= 1;
  return frames.slice(at);
}

/** At most `most` of them: of each group that falls together the slowest, for that is what one looks for. */
export function slowest(frames, most) {
  const together = Math.ceil(frames.length / most);
  if (together <= 1) return frames;
  const kept = [];
  for (let at = 0; at < frames.length; at += together) {
    kept.push(frames.slice(at, at + together).reduce((a, b) => (b.latency_ms.age > a.latency_ms.age ? b : a)));
  }
  return kept;
}
