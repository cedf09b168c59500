// The one place that knows which library draws: Preact with htm, vendored.
export {
  html,
  render,
  Component,
  createContext,
  useCallback,
  useContext,
  useEffect,
  useLayoutEffect,
  useMemo,
  useReducer,
  useRef,
  useState,
} from "./vendor/preact/standalone.module.js";
