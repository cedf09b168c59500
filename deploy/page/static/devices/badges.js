import { Badge } from "../../components.js";
import { html } from "../../ui.js";

const STANDINGS = {
  healthy: "good", degraded: "warn", pending: "", failed: "bad", silent: "bad", held: "warn", offline: "",
  vanished: "warn", away: "warn",
};

const MOVING = new Set(["fetching", "trial", "probation"]);

export const phaseKind = (phase) => (MOVING.has(phase) ? "moving" : "");

export const Standing = ({ is, children = is }) => html`<${Badge} tone=${STANDINGS[is] ?? ""}>${children}<//>`;

export const Presence = ({ online }) =>
  html`<span class="presence ${online ? "on" : "off"}">${online ? "online" : "offline"}</span>`;
