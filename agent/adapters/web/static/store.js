// State that changes many times a second, drawn only so often as a person can read.
import { useEffect, useState } from "./ui.js";

/** At most so many drawings a second; `soon()` says that something changed. */
export function pulse(perSecond = 8) {
  const listeners = new Set();
  let pending = 0;
  let last = 0;
  let version = 0;

  function beat() {
    pending = 0;
    last = performance.now();
    version += 1;
    for (const listener of listeners) listener(version);
  }

  return {
    soon() {
      if (pending !== 0) return;
      const wait = Math.max(0, last + 1000 / perSecond - performance.now());
      // A frame is only drawn where somebody sees it: in a hidden tab this waits until it is shown.
      pending = setTimeout(() => requestAnimationFrame(beat), wait);
    },
    /** In a component: drawn again at each beat. Returns the number of the beat. */
    use() {
      const [drawn, draw] = useState(version);
      useEffect(() => {
        listeners.add(draw);
        draw(version);
        return () => listeners.delete(draw);
      }, []);
      return drawn;
    },
  };
}

/** The time, anew each `everyMs`: for "since" and "ago". */
export function useNow(everyMs = 1000) {
  const [now, tell] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => tell(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
