// What a person can order of a rollout: each says what will happen, and asks why.

import { post } from "../../api.js";
import { Button, Confirm, toast } from "../../components.js";
import { plural } from "../../format.js";
import { html, useState } from "../../ui.js";
import { barred } from "./words.js";

const next = ({ waves }) => waves.find(({ state }) => state === "coming");

/** By verb: its button, what will happen, whether a reason must be given, whether the name must be typed. */
const VERBS = {
  pause: {
    words: "Pause", reason: true,
    happens: () => "No further device begins. Those that have begun go on, and a gate that aborts still does.",
  },
  resume: { words: "Resume", first: true, reason: true, happens: () => "Devices begin again, and the gate judges on." },
  promote: {
    words: "Next wave", first: true, reason: true,
    happens: (rollout) => `The next wave${ahead(rollout)} begins now, without waiting for the gate to soak.`,
  },
  force: {
    words: "Pass the gate", danger: true, reason: true,
    happens: (rollout) => `The next wave${ahead(rollout)} begins although the gate holds: ${rollout.gate?.words ?? "it has judged nothing"}`,
  },
  revert: {
    words: "Revert", danger: true, reason: true, typed: true,
    happens: ({ brief }) => `${back(brief)} The release may be tried again.`,
  },
  abort: {
    words: "Abort", danger: true, reason: true, typed: true,
    happens: ({ brief }) => `${back(brief)} The files of ${brief.release} are refused for ever, on every device.`,
  },
};

const ahead = (rollout) => (next(rollout) ? ` (${next(rollout).label}, ${plural(next(rollout).devices, "more device")})` : "");

function back({ exposed, stable, release }) {
  const all = exposed === 1 ? "The one device that was let in goes" : `All ${exposed} devices that were let in go`;
  return `${all} back from ${release} to ${stable || "nothing, as there is no stable release"} at once, those that come online later too.`;
}

function asked(verb, rollout, { why, confirm, hardware }) {
  const body = { why: why.trim() };
  if (VERBS[verb].typed) body.confirm = confirm.trim();
  if (verb === "promote" || verb === "force") body.wave = rollout.brief.wave;
  if (verb === "force") body.force = true;
  if (hardware) body.hardware = hardware;
  return body;
}

function Typed({ name, value, set }) {
  return html`<label class="field">Type <code>${name}</code> to confirm
    <input type="text" autocomplete="off" spellcheck=${false} value=${value} onInput=${(event) => set(event.target.value)} />
  </label>`;
}

function Order({ verb, rollout, close, again }) {
  const [filled, setFilled] = useState({ why: "", confirm: "", hardware: "" });
  const of = VERBS[verb];
  const set = (key) => (value) => setFilled((before) => ({ ...before, [key]: value }));
  const act = async () => {
    const name = rollout.brief.name;
    if (of.reason && !filled.why.trim()) throw new Error("Say why: it goes on record.");
    if (of.typed && filled.confirm.trim() !== name) throw new Error(`Type ${name} to confirm.`);
    const address = `api/rollouts/${encodeURIComponent(name)}/${verb === "force" ? "promote" : verb}`;
    const done = await post(address, asked(verb, rollout, filled));
    toast(done.words);
    again();
  };
  return html`<${Confirm} title=${`${of.words}: ${rollout.brief.name}`} verb=${of.words} danger=${Boolean(of.danger)} act=${act} close=${close}>
    <p>${of.happens(rollout)}</p>
    <label class="field">Why (it goes on record)
      <input type="text" value=${filled.why} onInput=${(event) => set("why")(event.target.value)} />
    </label>
    ${verb === "revert" && html`<label class="field">Only this hardware class (empty: all)
      <input type="text" value=${filled.hardware} onInput=${(event) => set("hardware")(event.target.value)} />
    </label>`}
    ${of.typed && html`<${Typed} name=${rollout.brief.name} value=${filled.confirm} set=${set("confirm")} />`}
  <//>`;
}

export function Orders({ rollout, me, again }) {
  const [verb, setVerb] = useState(null);
  const able = Object.keys(VERBS).filter((each) => rollout.may.includes(each));
  if (!able.length) return null;
  if (!me.may.includes("order")) {
    const why = barred(me, "order");
    return why && html`<p class="quiet">${why}</p>`;
  }
  return html`<div class="row" role="group" aria-label="Orders">
    ${able.map((each) => html`<${Button} key=${each} kind=${VERBS[each].danger ? "danger" : VERBS[each].first ? "first" : ""}
      onClick=${() => setVerb(each)}>${VERBS[each].words}<//>`)}
    ${verb && html`<${Order} key=${verb} verb=${verb} rollout=${rollout} again=${again} close=${() => setVerb(null)} />`}
  </div>`;
}
