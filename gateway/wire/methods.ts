/**
 * The method table: every method has a row, and what has none is refused with a receipt. A further revision is a change
 * of this table.
 */

import type { Era } from "../../kernel/receipt/vocabulary.ts";
import type { ListKind, TargetKind } from "../pipeline/call.ts";

/** What becomes of a request. */
export type RequestRule =
  /** Answered by the gateway itself. */
  | { readonly rule: "initialize" | "discover" | "ping" | "set-level" | "listen" }
  | { readonly rule: "list"; readonly list: ListKind }
  /** Decided, then forwarded. `names` is the member of params that names the target. */
  | { readonly rule: "forward"; readonly kind: TargetKind; readonly names: "name" | "uri" | "ref" }
  /** About a task that a call made: decided, then forwarded to the server that has it. */
  | { readonly rule: "task" | "task-list" }
  /** Removed in this era, or of no era at all. */
  | { readonly rule: "removed" | "unknown" };

/** What becomes of a notification: `ignore` and `roots-changed` (servers are told, in our words) need no receipt, `refuse` leaves one. */
export type NotificationRule = "cancel" | "ignore" | "roots-changed" | "refuse";

type Row = Readonly<Record<Era, RequestRule>>;

const REMOVED: RequestRule = { rule: "removed" };
const UNKNOWN: RequestRule = { rule: "unknown" };
const TASK: RequestRule = { rule: "task" };

const SUBSCRIBE: RequestRule = { rule: "forward", kind: "subscribe", names: "uri" };

function both(rule: RequestRule): Row {
  return { modern: rule, legacy: rule };
}

function list(kind: ListKind): Row {
  return both({ rule: "list", list: kind });
}

function forward(kind: TargetKind, names: "name" | "uri" | "ref"): Row {
  return both({ rule: "forward", kind, names });
}

const REQUESTS: ReadonlyMap<string, Row> = new Map([
  ["initialize", { modern: REMOVED, legacy: { rule: "initialize" } }],
  ["server/discover", { modern: { rule: "discover" }, legacy: UNKNOWN }],
  ["ping", { modern: REMOVED, legacy: { rule: "ping" } }],
  ["logging/setLevel", { modern: REMOVED, legacy: { rule: "set-level" } }],
  ["tools/list", list("tools")],
  ["prompts/list", list("prompts")],
  ["resources/list", list("resources")],
  ["resources/templates/list", list("resourceTemplates")],
  ["tools/call", forward("tool", "name")],
  ["prompts/get", forward("prompt", "name")],
  ["resources/read", forward("resource", "uri")],
  ["completion/complete", forward("completion", "ref")],
  ["subscriptions/listen", { modern: { rule: "listen" }, legacy: UNKNOWN }],
  ["resources/subscribe", { modern: REMOVED, legacy: SUBSCRIBE }],
  ["resources/unsubscribe", { modern: REMOVED, legacy: SUBSCRIBE }],
  ["tasks/get", both(TASK)],
  ["tasks/update", { modern: TASK, legacy: UNKNOWN }],
  ["tasks/cancel", both(TASK)],
  ["tasks/result", { modern: REMOVED, legacy: TASK }],
  ["tasks/list", { modern: REMOVED, legacy: { rule: "task-list" } }],
] as const);

/** The row of a request's method. */
export function requestRule(method: string, era: Era): RequestRule {
  return REQUESTS.get(method)?.[era] ?? UNKNOWN;
}

/** What becomes of a notification. Over HTTP a modern request is cancelled by closing its stream. */
export function notificationRule(method: string, era: Era, transport: "http" | "stdio"): NotificationRule {
  if (method === "notifications/cancelled") return era === "modern" && transport === "http" ? "ignore" : "cancel";
  if (method === "notifications/initialized") return era === "legacy" ? "ignore" : "refuse";
  if (method === "notifications/roots/list_changed" && era === "legacy") return "roots-changed";
  return "refuse";
}

/** Every method with a row, for the documentation's test. */
export const METHOD_ROWS: ReadonlyMap<string, Row> = REQUESTS;
