import { number } from "../../format.js";
import { html } from "../../ui.js";
import { Badge } from "../../components.js";

const STATES = {
  waiting: ["", "waiting"], running: ["good", "running"], paused: ["warn", "paused"], "going-back": ["bad", "going back"],
  completed: ["good", "completed"], reverted: ["bad", "reverted"],
};
const VERDICTS = { promote: "good", hold: "warn", abort: "bad" };

export function State({ is }) {
  const [tone, words] = STATES[is] ?? ["", is];
  return html`<${Badge} tone=${tone}>${words}<//>`;
}

export const Verdict = ({ is }) => html`<${Badge} tone=${VERDICTS[is] ?? ""}>${is}<//>`;

const BAD = ["failed", "silent"];
const WELL = ["healthy", "degraded"];
const OUT = ["offline", "vanished", "held", "away"];
const sum = (standings, names) => names.reduce((all, name) => all + (standings[name] ?? 0), 0);

/** The standings in four words that a person can add up. */
export const gathered = (standings) => [
  ["healthy", sum(standings, WELL)],
  ["failed", sum(standings, BAD)],
  ["pending", standings.pending ?? 0],
  ["not counted", sum(standings, OUT)],
];

/** Every standing that there is, in words. */
export const counted = (standings) =>
  Object.entries(standings).filter(([, count]) => count).map(([name, count]) => `${number(count)} ${name}`).join(", ");

/** Why somebody may not order here; empty: they may. */
export function barred(me, act) {
  if (me.may.includes(act)) return "";
  if (me.note) return "";
  const who = act === "approve" ? "an approver" : "an operator or an approver";
  if (!me.name) return `You can look and not order: sign in as ${who}.`;
  return `${me.name} is ${me.role === "viewer" ? "a" : "an"} ${me.role}, and only ${who} may ${act === "approve" ? "sign for a wave" : "begin or steer a rollout"}.`;
}
