/**
 * Tasks in the messages of servers: read strictly, and written with the gateway's ids in place of the server's. What the
 * gateway does not have to change keeps its bytes.
 */

import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { Era } from "../../kernel/receipt/vocabulary.ts";
import { META } from "../wire/meta-keys.ts";
import { applyEdits, type Edit, editMembers, memberSpans, rawAt, spanOf } from "../wire/spans.ts";

const STATUSES = ["working", "input_required", "completed", "failed", "cancelled"] as const;
/** Where a task is; the last three are its end. */
export type TaskStatus = (typeof STATUSES)[number];

/** What a server says of a task. */
export interface StatedTask {
  readonly taskId: string;
  readonly status: TaskStatus;
  /** Milliseconds from its creation; null: the server sets no bound. */
  readonly ttlMs: number | null;
}

const MAX_ID = 1_024;

/** True for the three ends of a task. */
export function isEnd(status: TaskStatus): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** Where the task stands in the answer to the call that made it. */
export function madePath(era: Era): readonly string[] {
  return era === "modern" ? ["result"] : ["result", "task"];
}

/** Where the task stands in a message about it. */
export const TASK_PATH: readonly string[] = ["result"];

/** Reads a task; undefined if it is none. */
export function readTask(value: JsonValue | undefined, era: Era): StatedTask | undefined {
  if (!isJsonObject(value)) return undefined;
  const { taskId, status } = value;
  const ttl = value[ttlMember(era)] ?? null;
  const known = STATUSES.find((one) => one === status);
  if (typeof taskId !== "string" || taskId === "" || taskId.length > MAX_ID || known === undefined) return undefined;
  if (ttl !== null && typeof ttl !== "number") return undefined;
  return { taskId: ownText(taskId), status: known, ttlMs: ttl === null ? null : Math.max(0, ttl) };
}

/** The same text as one of its own: a piece of a message would keep all of that as long as the task is open. */
function ownText(text: string): string {
  return ` ${text}`.slice(1);
}

/** What a task in a message is changed to. */
export interface TaskEdit {
  readonly id: string;
  /** Set if the server promises to keep it for longer than the gateway does. */
  readonly ttlMs?: number;
  /** JSON text by member, for what the agent gets in place of the server's. */
  readonly members?: Readonly<Record<string, string>>;
}

/** The message with this task at `path`. */
export function withTask(text: string, path: readonly string[], era: Era, { id, ttlMs, members }: TaskEdit): string {
  const span = spanOf(text, path);
  if (span === undefined) return text;
  const ttl = ttlMs === undefined ? {} : { [ttlMember(era)]: String(ttlMs) };
  const edit = editMembers(text, span, { taskId: JSON.stringify(id), ...ttl, ...members }, () => false);
  return edit === undefined ? text : applyEdits(text, [edit]);
}

/** Text of a task that is remembered for lists as it is. */
const MAX_REMEMBERED = 2_048;
const SHORT = 64;

/** The task that an agent was given, as JSON text for lists; of a long one what says where it stands. */
export function rememberedTask(given: Uint8Array, path: readonly string[]): string {
  const text = rawAt(parseUtf8(given), path) ?? "{}";
  if (text.length <= MAX_REMEMBERED) return ownText(text);
  const value = parseJson(formatUtf8(text), { numbers: "rounded", maxBytes: Number.MAX_SAFE_INTEGER });
  const members = isJsonObject(value) ? Object.entries(value) : [];
  const isKept = ([key, member]: readonly [string, JsonValue | undefined]): boolean =>
    OWN_MEMBERS.has(key) && (typeof member !== "object" || member === null) && String(member).length <= SHORT;
  return JSON.stringify(Object.fromEntries(members.filter(isKept)));
}

const OWN_MEMBERS: ReadonlySet<string> = new Set(
  "taskId status createdAt lastUpdatedAt ttl ttlMs pollInterval pollIntervalMs".split(" "),
);

/** The task that a message says it belongs to, by `_meta` of `root` (`params` or `result`); undefined if it names none. */
export function relatedTask(message: JsonObject, root: "params" | "result"): string | undefined {
  const holder = message[root];
  const meta = isJsonObject(holder) ? holder["_meta"] : undefined;
  const related = isJsonObject(meta) ? meta[META.relatedTask] : undefined;
  const taskId = isJsonObject(related) ? related["taskId"] : undefined;
  return typeof taskId === "string" ? taskId : undefined;
}

/** The message with another id of the task that it belongs to; as it is if it names none. */
export function withRelatedTask(text: string, root: "params" | "result", id: string): string {
  const edit = relatedEdit(text, root, id);
  return edit === undefined ? text : applyEdits(text, [edit]);
}

/** The answer without the task that it belongs to, for an agent that knows none. */
export function withoutRelatedTask(text: string): string {
  const [result, meta] = [spanOf(text, ["result"]), spanOf(text, ["result", "_meta"])];
  if (result === undefined || meta === undefined || text[meta.start] !== "{") return text;
  const isAll = memberSpans(text, meta.start).every(({ key }) => key === META.relatedTask);
  const edit = isAll
    ? editMembers(text, result, {}, (key) => key === "_meta")
    : editMembers(text, meta, {}, (key) => key === META.relatedTask);
  return edit === undefined ? text : applyEdits(text, [edit]);
}

function relatedEdit(text: string, root: string, id: string): Edit | undefined {
  const span = spanOf(text, [root, "_meta", META.relatedTask]);
  if (span === undefined || text[span.start] !== "{") return undefined;
  return editMembers(text, span, { taskId: JSON.stringify(id) }, () => false);
}

/** SPEC MCP 2025-11-25 says `ttl`, the extension `ttlMs`. */
export function ttlMember(era: Era): "ttl" | "ttlMs" {
  return era === "modern" ? "ttlMs" : "ttl";
}
