// Where one is: the part of the address after #, so that the page works under any prefix.

import { useEffect, useState } from "../ui.js";

const START = ["devices"];

/** @returns {{parts: string[], query: Object<string, string>}} */
export function read(hash = location.hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  return { parts: parts.length ? parts : START, query: Object.fromEntries(new URLSearchParams(query)) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function to(parts, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value);
  const asked = kept.length ? `?${new URLSearchParams(kept)}` : "";
  return `#/${parts.map(encodeURIComponent).join("/")}${asked}`;
}

export function go(parts, query) {
  location.hash = to(parts, query);
}

/** The same place asked otherwise, without a step for the back button: what is typed is one visit. */
export function amend(query) {
  const here = read();
  const asked = { ...here.query, ...query };
  history.replaceState(history.state, "", to(here.parts, asked));
  dispatchEvent(new Event("amended"));
}

export function useRoute() {
  const [route, setRoute] = useState(read());
  useEffect(() => {
    const changed = () => setRoute(read());
    addEventListener("hashchange", changed);
    addEventListener("amended", changed);
    return () => {
      removeEventListener("hashchange", changed);
      removeEventListener("amended", changed);
    };
  }, []);
  return route;
}
