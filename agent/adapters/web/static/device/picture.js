// The live picture, with the labels of the very frame that is shown. It is asked for only where it is seen:
// the device encodes a picture for whoever asks, and for nobody else.
import { fetchRaw } from "../api.js";
import { clock, duration, score } from "../format.js";
import { html, useEffect, useRef, useState } from "../ui.js";
import { CAMERA_OUT, cameraTold } from "./words.js";

const LEAST_BETWEEN_MS = 100;
const LABELS_WITHIN_MS = 600;
const AGAIN_AFTER_MS = 2_000;
const LABELS_OVER = 3;
const SLOW_MS = 1_000;
/** What is older is said to be. */
export const PAST_MS = 10_000;

function pause(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

async function labelsOf(device, pipeline, sequence) {
  const until = performance.now() + LABELS_WITHIN_MS;
  for (;;) {
    const seen = device.classified(pipeline, sequence);
    if (seen || performance.now() > until) return seen;
    await pause(30);
  }
}

/** Waits while the frame that is shown is the newest one, and old: a slow camera is not asked in vain. */
async function news(device, pipeline, after, signal) {
  for (;;) {
    const newest = device.pipelines[pipeline]?.frames.at(-1);
    const age = newest ? Date.now() + device.aheadMs - Date.parse(newest.at) : 0;
    if (signal.aborted || after === null || newest?.sequence !== after || age < SLOW_MS) return;
    await pause(100);
  }
}

async function next(pipeline, after, signal) {
  const query = new URLSearchParams({ pipeline, after: after ?? -1 });
  const answer = await fetchRaw(`api/frame?${query}`, { signal });
  if (answer.status === 204) throw new Error(decodeURIComponent(answer.headers.get("X-Shoal-Reason")));
  const picture = await answer.blob();
  return {
    address: URL.createObjectURL(picture),
    sequence: Number(answer.headers.get("X-Shoal-Sequence")),
    at: answer.headers.get("X-Shoal-Captured-At"),
  };
}

/** Shows picture after picture until `ends` is aborted. */
async function follow(device, pipeline, ends, show, refused) {
  let after = null;
  while (!ends.signal.aborted) {
    const began = performance.now();
    try {
      await news(device, pipeline, after, ends.signal);
      if (ends.signal.aborted) return;
      const picture = await next(pipeline, after, ends.signal);
      after = picture.sequence;
      const seen = await labelsOf(device, pipeline, picture.sequence);
      if (ends.signal.aborted) URL.revokeObjectURL(picture.address);
      else show({ ...picture, seen });
    } catch (error) {
      if (ends.signal.aborted) return;
      after = null;
      refused(error.message);
      await pause(AGAIN_AFTER_MS);
    }
    await pause(Math.max(0, began + LEAST_BETWEEN_MS - performance.now()));
  }
}

/** Whether this element can be seen: the tab is shown, and it is within the window. */
function useSeen(element) {
  const [within, setWithin] = useState(true);
  const [shown, setShown] = useState(!document.hidden);
  useEffect(() => {
    const turned = () => setShown(!document.hidden);
    const observer = new IntersectionObserver(([entry]) => setWithin(entry.isIntersecting));
    observer.observe(element.current);
    document.addEventListener("visibilitychange", turned);
    return () => {
      observer.disconnect();
      document.removeEventListener("visibilitychange", turned);
    };
  }, []);
  return within && shown;
}

function missing({ report, begun }, connected) {
  if (!connected) return "The page has lost the device.";
  if (report.paused) return "Paused: nothing is classified.";
  if (report.camera && CAMERA_OUT.has(report.camera.state)) {
    return cameraTold(report.camera);
  }
  if (!report.active) return "No model serves yet.";
  if (!begun) return "Waiting for the first frame.";
  return "";
}

/** The worker that counted the frames is another one now: it counts from the beginning. */
function life(report) {
  return `${report.worker_restarts} ${report.boot} ${report.active?.manifest}`;
}

export function Picture({ device, name, pipeline, connected, end, changed }) {
  const place = useRef(null);
  const [shown, setShown] = useState(null);
  const [trouble, setTrouble] = useState("");
  const seen = useSeen(place);
  const lacking = missing(pipeline, connected);
  useEffect(() => {
    setTrouble("");
    if (!seen || lacking) return undefined;
    const ends = new AbortController();
    const show = (picture) => {
      setShown((before) => {
        if (before) URL.revokeObjectURL(before.address);
        return picture;
      });
      setTrouble("");
      pipeline.shown = picture.seen;
      changed();
    };
    follow(device, name, ends, show, setTrouble);
    return () => ends.abort();
  }, [name, seen, lacking, life(pipeline.report), device.beginnings]);
  return html`<figure class="picture" ref=${place}>
    ${shown
      ? html`<img src=${shown.address} alt="What the camera of ${name} sees" class=${lacking || trouble ? "past" : ""} />`
      : html`<div class="empty"></div>`}
    ${(lacking || trouble) && html`<p class="lacking">${lacking || trouble}</p>`}
    ${!shown && !lacking && !trouble && html`<p class="lacking">Waiting for a picture.</p>`}
    ${shown && html`<${Over} picture=${shown} ageMs=${end - Date.parse(shown.at)} />`}
  </figure>`;
}

function Over({ picture, ageMs }) {
  // Behind the first, a score of 0 says nothing: it takes room of the picture.
  const ranked = (picture.seen?.predictions ?? []).filter((one, at) => at === 0 || one.score !== 0).slice(0, LABELS_OVER);
  return html`<figcaption>
    <ol aria-label="Labels of the frame that is shown">
      ${ranked.map((one) => html`<li key=${one.index}><span class="clamp" dir="auto">${one.label || `class ${one.index}`}</span><span class="number">${score(one.score)}</span></li>`)}
      ${ranked.length === 0 && html`<li><span>${picture.seen ? "Nothing is sure" : "Not classified"}</span></li>`}
    </ol>
    <p class="when">Frame ${picture.sequence}, ${clock(picture.at)}${ageMs > PAST_MS && html`, <strong>${duration(ageMs / 1000)} ago</strong>`}</p>
  </figcaption>`;
}
