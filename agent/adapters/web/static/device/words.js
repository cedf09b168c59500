// What codes and states mean to a person.
import { bytes, celsius, clock, duration, milliseconds, number, plural, sentence, shortDigest } from "../format.js";

const CAMERA = {
  opening: ["", "being opened"],
  live: ["good", "live"],
  lost: ["bad", "unplugged, or never there"],
  busy: ["bad", "another process has it"],
  frozen: ["bad", "gives the same frame again and again, or none"],
  black: ["warn", "gives black frames"],
  slow: ["warn", "gives far fewer frames than asked for"],
};

/** A tone and words. */
export function camera(told) {
  if (!told) return ["", "not told yet"];
  const [tone, words] = CAMERA[told.state] ?? ["warn", told.state];
  const kind = told.kind ? `${told.kind}, ` : "";
  return [tone, `${kind}${words}`];
}

/** The same as a sentence, with what the device itself found. */
export function cameraTold(told) {
  const found = told.detail ? ` (${told.detail})` : "";
  return `The camera: ${camera(told)[1]}${found}.`;
}

export const CAMERA_OUT = new Set(["opening", "lost", "busy", "frozen"]);

export function release(one) {
  return one ? `${one.name} ${one.version}` : "none";
}

const PHASES = {
  held: () => ["", "held back"],
  fetching: () => ["", "fetching a release"],
  trial: () => ["", "trying a release"],
  probation: () => ["warn", "a release is on probation"],
};

/** The one badge that says how a pipeline fares: a tone and words. */
export function state(report) {
  if (report.paused) return ["warn", "paused"];
  if (report.camera && CAMERA_OUT.has(report.camera.state) && report.camera.state !== "opening") {
    return ["bad", "no picture"];
  }
  if (!report.active) return ["warn", "no model yet"];
  if (report.degraded) return ["warn", "degraded"];
  return ["good", "classifying"];
}

export function phase(report) {
  const told = PHASES[report.phase]?.(report);
  return told ?? ["good", "nothing under way"];
}

/** Why a release waits or was not kept, in words; `reasons` are the device's own. */
export function why(reason, detail, reasons) {
  const words = reason ? (reasons[reason] ?? reason) : "";
  const both = [words, detail && detail !== words ? detail : ""].filter(Boolean).join(": ");
  return both ? `${sentence(both)}${/[.!?]$/.test(both) ? "" : "."}` : "";
}

export const OUTCOMES = {
  committed: ["good", "kept"],
  refused: ["warn", "refused"],
  reverted: ["bad", "taken back"],
};

function of(fields) {
  return `${fields.name} ${fields.version}`;
}

function detail(fields, key = "detail") {
  return fields[key] ? `: ${fields[key]}` : "";
}

const EVENTS = {
  "update.fetched": (f) =>
    `${of(f)} fetched, ${bytes(f.bytes)}` + (f.reused_bytes ? `, ${bytes(f.reused_bytes)} taken from older releases` : ""),
  "update.patch-failed": (f) => `A patch did not apply, the whole file is fetched${detail(f)}`,
  "trial.proven": (f) =>
    `Proven here: ${plural(f.golden, "golden input")} right, ${milliseconds(f.invoke_p50_ms)} on ${f.delegate}`,
  "trial.twin-proven": (f) => `The variant for the CPU is proven too: ${plural(f.golden, "golden input")} right`,
  "trial.shadowed": (f) => `Watched ${plural(f.frames, "live frame")} beside the running model`,
  "trial.alone": (f) => `Tried without live frames${detail(f)}`,
  "model.serving": (f) => `Model ${shortDigest(f.digest)} serves on ${f.delegate}, loaded in ${milliseconds(f.load_ms)}`,
  "update.ended": (f) => `${of(f)} ${OUTCOMES[f.outcome]?.[1] ?? f.outcome}${detail(f)}`,
  "update.offered": (f) => `${of(f)} is offered, and waits to be installed`,
  "worker.crashed": (f) => `The worker was restarted, ${plural(f.restarts, "time")} by now${detail(f)}`,
  "camera.back": (f) => `The camera is back after ${duration(f.away_s)}`,
  "edgetpu.lost": (f) => `The Edge TPU is gone${detail(f, "why")}`,
  "edgetpu.back": (f) => `The Edge TPU is back after ${duration(f.lost_s)}`,
  "soc.throttled": () => "The processor throttles: it is too hot, or its power too weak",
  "soc.unthrottled": () => "The processor runs at full speed again",
  "soc.under-voltage": () => "The power supply gives too little voltage",
  "soc.voltage-back": () => "The voltage is right again",
  "soc.hot": (f) => `The processor is hot${f.soc_c === undefined ? "" : `: ${celsius(f.soc_c)}`}`,
  "soc.cool": () => "The processor has cooled down",
  "pace.lowered": (f) => `Fewer frames are classified, at most ${number(f.fps_max, 1)} a second${detail(f, "reason")}`,
  "pace.restored": (f) => `The full frame rate is back after ${duration(f.lasted_s)}`,
  "pipeline.paused": () => "Paused",
  "pipeline.resumed": () => "Resumed",
  "config.reloaded": () => "The configuration was read again",
  "config.refused": (f) => `The configuration was refused${detail(f)}`,
  "outbox.dropped": (f) => `${plural(f.count, "message")} of the outbox dropped, for it was full`,
};

/** A sentence for an event; one that is not known here says its name and fields. */
export function event({ name, fields = {} }) {
  const known = EVENTS[name];
  if (known) return known(fields);
  if (name.startsWith("camera.")) {
    return `The camera: ${CAMERA[name.slice(7)]?.[1] ?? name.slice(7)}${detail(fields)}`;
  }
  const said = Object.entries(fields)
    .map(([key, value]) => `${key} ${value}`)
    .join(", ");
  return said ? `${name}: ${said}` : name;
}

/** The state of the way to the broker: a tone and words. */
export function broker(told) {
  if (!told) return ["", "no broker is set"];
  const since = told.since ? ` since ${clock(told.since)}` : "";
  if (told.up) return ["good", "broker connected"];
  return ["bad", told.since ? `broker away${since}` : "broker not reached yet"];
}

const POWER = [
  ["under_voltage", "under-voltage"],
  ["throttled", "throttled"],
  ["frequency_capped", "clock capped"],
  ["soft_limit", "near the heat limit"],
];

/** What the firmware says of power and heat: a tone and words, or null where the host does not tell. */
export function power(vitals) {
  if (!vitals?.now && !vitals?.since_boot) return null;
  const said = (bits) => POWER.filter(([key]) => bits?.[key]).map(([, words]) => words);
  const now = said(vitals.now);
  const before = said(vitals.since_boot).filter((words) => !now.includes(words));
  if (now.length) return ["bad", now.join(", ")];
  return before.length ? ["warn", `${before.join(", ")} since boot`] : ["good", "as they should be"];
}

/** What to do about it; empty where nothing is wrong. */
export function remedy(vitals) {
  const told = [vitals?.now, vitals?.since_boot];
  if (told.some((bits) => bits?.under_voltage)) return "a stronger power supply, or a shorter cable";
  return told.some((bits) => bits?.throttled || bits?.soft_limit) ? "a heat sink, a fan, or more air around it" : "";
}

/** What a clock that nobody set means here. */
export function timekeeping(vitals) {
  return vitals.clock_synchronized ? "synchronized" : "not synchronized: times on this page may be wrong";
}
