import { get } from "../api.js";
import { Toasts } from "../components.js";
import { html, render, useCallback, useEffect, useLayoutEffect, useRef, useState } from "../ui.js";
import { AuditLog } from "./audit.js";
import { DevicePage } from "./device/view.js";
import { Devices } from "./devices/list.js";
import { Banners, Head } from "./frame.js";
import { fleet, news, server, start, useNews } from "./live.js";
import { Measured } from "./measured/view.js";
import { ReleasePage, Releases } from "./releases/view.js";
import { Rollouts } from "./rollouts/list.js";
import { StartRollout } from "./rollouts/start.js";
import { RolloutPage } from "./rollouts/view.js";
import { read, useRoute } from "./router.js";

/** What there is at an address: its title, and what is drawn. */
function viewOf({ parts, query }, me) {
  const [place, first, second] = parts;
  if (place === "devices" && first) {
    return { title: first, body: html`<${DevicePage} key=${first} id=${first} pipeline=${query.pipeline || "main"} store=${fleet} />` };
  }
  if (place === "devices") return { title: "Devices", body: html`<${Devices} store=${fleet} query=${query} />`, filled: true };
  if (place === "rollouts" && first) {
    return { title: `Rollout ${first}`, body: html`<${RolloutPage} key=${first} name=${first} me=${me} />` };
  }
  if (place === "rollouts") return { title: "Rollouts", body: html`<${Rollouts} me=${me} />` };
  if (place === "start") return { title: "Start a rollout", body: html`<${StartRollout} query=${query} me=${me} />` };
  if (place === "releases" && second) {
    return { title: `${first}@${second}`, body: html`<${ReleasePage} key=${`${first}@${second}`} name=${first} version=${second} me=${me} />` };
  }
  if (place === "releases") return { title: "Releases", body: html`<${Releases} />` };
  if (place === "measured") return { title: "Measured", body: html`<${Measured} query=${query} />` };
  if (place === "audit") return { title: "Audit", body: html`<${AuditLog} query=${query} />` };
  return { title: "Nothing here", body: html`<p class="note">There is no page ${parts.join("/")}: choose one above.</p>` };
}

function useMe() {
  const [me, setMe] = useState({ may: [], role: null, name: "", note: "", sign_in: false, fleet: "", stream: "" });
  const ask = useCallback(() => { get("api/me").then(setMe, () => {}); }, []);
  useEffect(ask, []);
  useEffect(() => {
    news.addEventListener("back", ask);
    return () => news.removeEventListener("back", ask);
  }, []);
  return me;
}

/** The heading takes the focus where one has gone to another page, so that a screen reader says where one is. */
function useArrival(path, title) {
  const heading = useRef(null);
  const before = useRef(path);
  useEffect(() => { document.title = title; }, [title]);
  useLayoutEffect(() => {
    if (before.current === path) return;
    before.current = path;
    scrollTo(0, 0);
    heading.current.focus({ preventScroll: true });
  }, [path]);
  return heading;
}

function Page() {
  const route = useRoute();
  const me = useMe();
  const [, draw] = useState(0);
  useNews(["turned"], useCallback(() => draw((drawn) => drawn + 1), []));
  const { title, body, filled } = viewOf(route, me);
  const heading = useArrival(route.parts.join("/"), `${title} – Shoal ${me.fleet}`.trim());
  const skip = () => heading.current.focus();
  return html`<div class="frame ${filled ? "filled" : ""} ${server.lostSince ? "stale" : ""}">
    <button type="button" class="skip" onClick=${skip}>To the contents</button>
    <${Head} place=${route.parts[0]} me=${me} />
    <${Banners} store=${fleet} server=${server} me=${me} />
    <main>
      <h1 tabindex="-1" ref=${heading}>${title}</h1>
      ${body}
    </main>
    <${Toasts} />
  </div>`;
}

read();
start();
const place = document.getElementById("page");
place.replaceChildren();
render(html`<${Page} />`, place);
