import { Card, Facts, Note } from "../../components.js";
import { bytes, instant, plural } from "../../format.js";
import { html, useEffect } from "../../ui.js";
import { Lines } from "../audit.js";
import { Document } from "../document.js";
import { useDocument } from "../live.js";
import { to } from "../router.js";
import { Approve } from "./approve.js";
import { Gate } from "./gate.js";
import { Orders } from "./orders.js";
import { Waves } from "./waves.js";
import { State, counted } from "./words.js";

const release = (text) => (text ? html`<a href=${to(["releases", ...text.split("@")])}>${text}</a>` : "nothing");

function facts({ brief, match, salt, withdrawn, bytes_left: left, loading }) {
  return [
    ["Release", release(brief.release)],
    ["Back to", brief.stable ? release(brief.stable) : "nothing: there is no stable release"],
    ["Stream", brief.stream],
    ["For", match.length ? match.join(" and ") : "every device"],
    ["Begun", `${instant(brief.started_at)} by ${brief.by}`],
    ["Exposed", html`<a href=${to(["devices"], { q: brief.release ? `release:${brief.release}` : "" })}>${plural(brief.exposed, "device")}</a>`],
    ["Back again", brief.state === "going-back" || brief.state === "reverted" ? `${brief.back} of ${brief.exposed}` : ""],
    ["To download", left ? `${bytes(left)} to ${plural(loading, "device")}` : ""],
    ["Taken back", withdrawn.join(", ")],
    ["Salt", html`<code>${salt}</code>`],
  ];
}

function policyFacts({ gate, windows, spread_s: spread, rate_bytes_s: rate, approve, urgent }) {
  return [
    ["Soak", `${gate.soak_s} s`], ["Deadline", `${gate.deadline_s} s`],
    ["Failed at most", `${gate.failed_share_max * 100} % of all, ${gate.class_failed_share_max * 100} % of a class`],
    ["Latency at most", `${gate.latency_ratio_max} times that of the release before`],
    ["Spread", `${spread} s`], ["Rate", rate ? `${bytes(rate)}/s for each device` : "no limit"],
    ["Signatures", approve.length ? `before ${approve.join(", ")}` : "none"],
    ["Windows", windows.length ? plural(windows.length, "window") : "any time"], ["Urgent", urgent ? "yes" : ""],
  ];
}

function Body({ document, me, again }) {
  const { brief } = document;
  return html`<div class="stack">
    <div class="row stands"><${State} is=${brief.state} /> <b>${brief.words}</b></div>
    ${document.note && html`<${Note} tone="warn">${document.note}<//>`}
    <${Orders} rollout=${document} me=${me} again=${again} />
    ${document.signing && html`<${Approve} rollout=${document} me=${me} again=${again} />`}
    <${Waves} waves=${document.waves} />
    ${Object.keys(brief.standings).length > 0 && html`<p class="quiet">All waves so far: ${counted(brief.standings)}.</p>`}
    <${Gate} gate=${document.gate} judgedAt=${document.judged_at} />
    <div class="columns">
      <${Card} title="Rollout"><${Facts} facts=${facts(document)} /><//>
      <${Card} title="Policy"><${Facts} facts=${policyFacts(document.policy)} /><//>
    </div>
    <${Card} title="What happened"><${Lines} lines=${document.history} rollout=${false} caption="What happened, the newest first" height="28rem" /><//>
  </div>`;
}

const NOTED_MS = 3_000;

export function RolloutPage({ name, me }) {
  const found = useDocument(
    `api/rollouts/${encodeURIComponent(name)}`,
    ({ detail }) => detail?.name === name || detail?.rollout === name,
  );
  useEffect(() => {
    // What keeps it from going on ends without any word of the rollout itself.
    const timer = found.document?.note ? setTimeout(found.again, NOTED_MS) : 0;
    return () => clearTimeout(timer);
  }, [found.document]);
  return html`<${Document} found=${found} what="the rollout"
    draw=${(document) => html`<${Body} document=${document} me=${me} again=${found.again} />`} />`;
}
