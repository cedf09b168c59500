// The one place that knows which library draws: Preact with htm, vendored.
export {
  html,
  render,
  Component,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "./vendor/preact/standalone.module.js";
