import { post } from "../../api.js";
import { Button, Card, Confirm, toast } from "../../components.js";
import { plural } from "../../format.js";
import { html, useRef, useState } from "../../ui.js";
import { sign } from "./ed25519.js";
import { barred } from "./words.js";

function Form({ rollout, close, again }) {
  const file = useRef(null);
  const { brief, signing } = rollout;
  const act = async () => {
    const [picked] = file.current.files;
    if (!picked) throw new Error("Choose the file that holds your key.");
    const { key, signature } = await sign(await picked.text(), signing.content);
    if (!signing.keys.includes(key)) throw new Error(`This key does not count: list ${key} under [approval] keys in shoal.toml.`);
    const done = await post(`api/rollouts/${encodeURIComponent(brief.name)}/approve`, { wave: signing.wave, key, signature });
    toast(done.words);
    again();
  };
  return html`<${Confirm} title=${`Sign for wave ${signing.wave} of ${brief.name}`} verb="Sign" act=${act} close=${close}>
    <p>You say that ${brief.release} may go to wave ${signing.wave}. Your key is read in this page, signs the text
      below, and is not sent anywhere.</p>
    <label class="field">Your key (made by shoal approver)
      <input type="file" ref=${file} />
    </label>
    <pre class="signed" tabindex="0" aria-label="The text that is signed">${signing.content}</pre>
  <//>`;
}

/** The next wave waits for the signature of a second person. */
export function Approve({ rollout, me, again }) {
  const [open, setOpen] = useState(false);
  const { signing, brief } = rollout;
  const why = barred(me, "approve");
  return html`<${Card} title="Signatures">
    <div class="stack">
      <p>Wave ${signing.wave} needs ${plural(signing.missing, "more signature")} before it begins.</p>
      ${me.may.includes("approve") ? html`<div class="row"><${Button} kind="first" onClick=${() => setOpen(true)}>Sign with a key<//></div>` : why && html`<p class="quiet">${why}</p>`}
      <p class="quiet">In a terminal: <code>shoal rollout approve ${brief.name} --wave ${signing.wave} --key FILE</code></p>
    </div>
    ${open && html`<${Form} rollout=${rollout} again=${again} close=${() => setOpen(false)} />`}
  <//>`;
}
