import { post } from "../../api.js";
import { Button, Card, Confirm, toast } from "../../components.js";
import { plural, sentence } from "../../format.js";
import { html, useEffect, useState } from "../../ui.js";
import { Document } from "../document.js";
import { useDocument } from "../live.js";
import { go } from "../router.js";
import { Preview } from "./preview.js";
import { barred } from "./words.js";

const EMPTY = { release: "", waves: "1, 5%, 25%, 100%", match: "", name: "", stream: "", soak: "0", approve: "" };
const list = (text, cut) => text.split(cut).map((each) => each.trim()).filter(Boolean);

/** As the server asks for it. A policy names only what is not its default. */
function order(filled, preview = null) {
  const soak = Number(filled.soak);
  if (!Number.isFinite(soak) || soak < 0) throw new Error("The soak is a number of seconds.");
  const approve = list(filled.approve, ",");
  const policy = { ...(soak ? { gate: { soak_s: soak } } : {}), ...(approve.length ? { approve } : {}) };
  return {
    release: filled.release, waves: list(filled.waves, ","), match: list(filled.match, "&"), stream: filled.stream.trim(),
    name: filled.name.trim(), policy, salt: preview ? preview.order.salt : "",
  };
}

function Field({ name, words, hint, filled, set, ...rest }) {
  const id = `start-${name}`;
  return html`<div class="field">
    <label for=${id}>${words}</label>
    <input id=${id} type="text" autocomplete="off" spellcheck=${false} value=${filled[name]}
      aria-describedby=${hint && `${id}-hint`} onInput=${(event) => set(name, event.target.value)} ...${rest} />
    ${hint && html`<span id=${`${id}-hint`} class="quiet small">${hint}</span>`}
  </div>`;
}

function ReleaseField({ filled, set, releases }) {
  return html`<label class="field">Release
    <select value=${filled.release} onChange=${(event) => set("release", event.target.value)}>
      ${releases.map(({ name, version, revoked }) => html`<option key=${`${name}@${version}`} value=${`${name}@${version}`}
        disabled=${revoked}>${name}@${version}${revoked ? " (revoked)" : ""}</option>`)}
    </select>
  </label>`;
}

function Form({ filled, set, releases, onPlan, busy }) {
  const submit = (event) => {
    event.preventDefault();
    onPlan();
  };
  return html`<form class="stack" onSubmit=${submit}>
    <div class="columns">
      <${ReleaseField} filled=${filled} set=${set} releases=${releases} />
      <${Field} name="waves" words="Waves" filled=${filled} set=${set} hint="Growing: a number of devices, a share, or 100%." />
      <${Field} name="match" words="For which devices" filled=${filled} set=${set} hint="hardware=cpu & tag=line-3; empty: all." />
      <${Field} name="soak" words="Soak, in seconds" inputmode="numeric" filled=${filled} set=${set} hint="The shortest look at a wave." />
      <${Field} name="approve" words="Waves to be signed" filled=${filled} set=${set} hint="Such as 100%: a second person signs before it." />
      <${Field} name="name" words="Name" filled=${filled} set=${set} hint="Empty: made from the release." />
      <${Field} name="stream" words="Stream" filled=${filled} set=${set} hint="Empty: that of the fleet." />
    </div>
    <div class="row"><${Button} kind="first" type="submit" disabled=${busy}>Show what it would do<//></div>
  </form>`;
}

function Start({ filled, planned, close }) {
  const [why, setWhy] = useState("");
  const [replace, setReplace] = useState("");
  const { preview } = planned;
  const act = async () => {
    const done = await post("api/rollouts", { ...order(filled, preview), why: why.trim(), replace: replace.trim() });
    toast(done.words);
    go(["rollouts", done.rollout.brief.name]);
  };
  const [first] = preview.waves;
  return html`<${Confirm} title=${`Start ${filled.release}`} verb="Start" act=${act} close=${close}>
    <p>Wave ${first.wave} begins now with ${plural(first.joining.length, "device")}, ${first.online} online, told to
      run ${filled.release}. The gate decides about the others.</p>
    <label class="field">Why (it goes on record)
      <input type="text" value=${why} onInput=${(event) => setWhy(event.target.value)} /></label>
    <label class="field">If one is under way: why it must give way (empty: it must not)
      <input type="text" value=${replace} onInput=${(event) => setReplace(event.target.value)} /></label>
  <//>`;
}

function usePlan(filled) {
  const [state, setState] = useState({ planned: null, error: "", busy: false });
  useEffect(() => setState({ planned: null, error: "", busy: false }), [filled]);
  const plan = async () => {
    setState({ planned: null, error: "", busy: true });
    try {
      setState({ planned: await post("api/rollouts/plan", order(filled)), error: "", busy: false });
    } catch (error) {
      setState({ planned: null, error: error.message, busy: false });
    }
  };
  return { ...state, plan };
}

function Ready({ query, releases }) {
  const chosen = query.release || `${releases[0].name}@${releases[0].version}`;
  const [filled, setFilled] = useState({ ...EMPTY, release: chosen });
  const set = (name, value) => setFilled((before) => ({ ...before, [name]: value }));
  const { planned, error, busy, plan } = usePlan(filled);
  const [asking, setAsking] = useState(false);
  return html`<div class="stack">
    <${Card} title="What and for whom"><${Form} filled=${filled} set=${set} releases=${releases} onPlan=${plan} busy=${busy} /><//>
    <div role="status">${error ? html`<p class="note bad">${sentence(error)}</p>` : busy ? "Cutting the waves" : ""}</div>
    ${planned && html`<${Preview} planned=${planned} />
    <div class="row"><${Button} kind="first" onClick=${() => setAsking(true)}>Start this rollout<//></div>`}
    ${asking && planned && html`<${Start} filled=${filled} planned=${planned} close=${() => setAsking(false)} />`}
  </div>`;
}

export function StartRollout({ query, me }) {
  const found = useDocument("api/releases");
  const why = barred(me, "order") || (me.may.includes("order") ? "" : me.note);
  if (why) return html`<p class="note">${why}</p>`;
  const draw = ({ releases }) => releases.length ? html`<${Ready} query=${query} releases=${releases} />`
    : html`<p class="note">There is no release yet: <code>shoal release MODEL.tflite --labels LABELS.txt</code> makes one.</p>`;
  return html`<${Document} found=${found} what="the releases" draw=${draw} />`;
}
