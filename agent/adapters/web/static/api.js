// What a page asks of its server. Addresses are relative to the page, so that it also works below a prefix.

/** What the server said no with, as one sentence. */
export class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Where whoever is not signed in (any longer) goes. */
const SIGN_IN = "sign-in";

async function refusal(answer) {
  let words = "";
  try {
    words = (await answer.json()).error ?? "";
  } catch {
    // A proxy in between answers what it likes.
  }
  return new Refusal(words || `The server answered ${answer.status} ${answer.statusText}.`.replace(" .", "."), answer.status);
}

async function ask(address, options) {
  let answer;
  try {
    answer = await fetch(address, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server does not answer.", 0);
  }
  if (answer.status === 401 && !address.endsWith("api/sign-in")) location.assign(SIGN_IN);
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

export async function get(address, options = {}) {
  return (await ask(address, options)).json();
}

/** The answer itself: for pictures, whose headers count. */
export function fetchRaw(address, options = {}) {
  return ask(address, options);
}

export async function post(address, body = {}) {
  const answer = await ask(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

export async function signOut() {
  await post("api/sign-out");
  location.assign(SIGN_IN);
}

const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 5_000;
/** The server says something at least so often (`beat`, where nothing else happens); silence is a dead line. */
const SILENCE_MS = 40_000;
/** A tab or a machine that woke up and heard nothing for so long has slept, and does not trust its line. */
const ASLEEP_MS = 2_000;
const LOOK_MS = 1_000;

/**
 * Listens to a stream of events, and comes back whenever it is lost.
 *
 * `handlers` are called with the parsed document, by the event's name. `turned(lostSince, why)` is called with null
 * when the stream is there, and with the milliseconds since 1970 at which it was lost, and why where the server said.
 * Returns what ends it.
 */
export function listen(address, handlers, turned) {
  let source = null;
  let timer = 0;
  let watch = 0;
  let heardAt = 0;
  let lostSince;
  let wait = RETRY_FIRST_MS;

  function heard() {
    heardAt = Date.now();
    wait = RETRY_FIRST_MS;
    if (lostSince !== null) turned(null);
    lostSince = null;
  }

  function lost() {
    source?.close();
    source = null;
    if (!lostSince) {
      lostSince = Date.now();
      turned(lostSince);
    }
    clearTimeout(timer);
    timer = setTimeout(open, wait);
    wait = Math.min(wait * 2, RETRY_MOST_MS);
  }

  async function failed() {
    lost();
    // An EventSource does not tell why it was refused: a session that has ended is seen by asking once more.
    const once = new AbortController();
    const why = await ask(address, { signal: once.signal }).then(() => "", (error) => (error.status ? error.message : ""));
    once.abort();
    if (lostSince) turned(lostSince, why);
  }

  function open() {
    source = new EventSource(address);
    heardAt = Date.now();
    source.onerror = () => (source?.readyState === EventSource.CLOSED ? failed() : lost());
    source.onopen = heard;
    for (const [name, handle] of Object.entries({ beat: () => {}, ...handlers })) {
      source.addEventListener(name, (event) => {
        heard();
        handle(event.data ? JSON.parse(event.data) : null);
      });
    }
  }

  /** A line that broke meanwhile does not say so, and one that holds has much to tell that is past. */
  function woke() {
    if (document.hidden || (source !== null && Date.now() - heardAt < ASLEEP_MS)) return;
    if (source !== null) lostSince = undefined;
    source?.close();
    clearTimeout(timer);
    open();
  }

  const wakers = new AbortController();

  function stop() {
    wakers.abort();
    clearTimeout(timer);
    clearInterval(watch);
    source?.close();
    source = null;
  }

  open();
  let looked = Date.now();
  watch = setInterval(() => {
    const late = Date.now() - looked > 3 * LOOK_MS;
    looked = Date.now();
    if (late) woke();
    else if (source !== null && Date.now() - heardAt > SILENCE_MS) lost();
  }, LOOK_MS);
  for (const [target, name] of [[window, "online"], [document, "resume"], [document, "visibilitychange"]]) {
    target.addEventListener(name, woke, { signal: wakers.signal });
  }
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  return stop;
}
