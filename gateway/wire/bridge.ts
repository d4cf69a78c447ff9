/**
 * What changes in a message between the legs: ids, names, progress tokens, and what one era adds to or takes from the
 * other. Everything else keeps its bytes; a message that needs no change is the received one.
 */

import type { Era } from "../../kernel/receipt/vocabulary.ts";
import { MessageEdits } from "./message-edits.ts";
import { META, OUR_META } from "./meta-keys.ts";
import { withoutOurWords } from "./our-words.ts";
import { MODERN_REVISION } from "./revisions.ts";
import type { RpcRequest } from "./rpc.ts";
import { RPC } from "./rpc-error.ts";
import { applyEdits, editMembers, memberSpans, rawAt, spanOf } from "./spans.ts";

/** What a request becomes on its way to a server. */
export interface RequestRewrite {
  readonly id: number;
  readonly era: Era;
  /** True if the message must fit on one line: raw line ends between its tokens become spaces. */
  readonly isLine: boolean;
  /** Where the target's name or URI stands, and its name at the server, if it is another there. */
  readonly name?: { readonly path: readonly string[]; readonly value: string };
  /** JSON text of the client capabilities that a modern leg declares; none by default. */
  readonly capabilities?: string;
  /** True if log messages of this request can be passed on: then a modern leg says which the agent wants. */
  readonly keepsLogLevel?: boolean;
  /** The state that the server gave with the round before, in place of ours; null if it gave none. */
  readonly state?: string | null;
}

/** What a modern leg declares. */
function modernMeta({ capabilities = "{}" }: RequestRewrite): Readonly<Record<string, string>> {
  return { [META.protocolVersion]: JSON.stringify(MODERN_REVISION), [META.clientCapabilities]: capabilities };
}

/** The capabilities of agents that the gateway carries from servers; what it does not carry it does not declare. */
const MIRRORED: ReadonlySet<string> = new Set(["elicitation", "sampling", "roots"]);

const EXTENSIONS = "extensions";

/**
 * The client capabilities that a server's leg declares for this agent: what the agent declared and we carry, in its bytes.
 *
 * @param text  JSON text of an object
 * @param extensions  those that the server has and we carry
 */
export function mirroredCapabilities(text: string, extensions: readonly string[] = []): string {
  const carried = membersAmong(rawAt(text, [EXTENSIONS]), extensions);
  const set: Record<string, string> = carried === undefined ? {} : { [EXTENSIONS]: carried };
  const isDropped = (key: string): boolean => !MIRRORED.has(key) && (key !== EXTENSIONS || carried === undefined);
  const edit = editMembers(text, { start: 0, end: text.length }, set, isDropped);
  return edit === undefined ? text : edit.text;
}

/** The members of an object that are among the named ones; undefined if none is. */
function membersAmong(text: string | undefined, names: readonly string[]): string | undefined {
  if (text === undefined || names.length === 0 || !text.startsWith("{")) return undefined;
  const whole = { start: 0, end: text.length };
  const kept = editMembers(text, whole, {}, (key) => !names.includes(key))?.text ?? text;
  return memberSpans(kept, 0).length === 0 ? undefined : kept;
}

const RESERVED = "io.modelcontextprotocol/";

/** The request as it is sent to the server. */
export function requestToServer(message: RpcRequest, rewrite: RequestRewrite): Uint8Array {
  const text = ownMembers(message);
  const edits = new MessageEdits(text);
  edits.replace(ID, String(rewrite.id));
  if (rewrite.name !== undefined) edits.replace(rewrite.name.path, JSON.stringify(rewrite.name.value));
  editMeta(edits, text, rewrite);
  editState(edits, rewrite);
  return edits.format(rewrite.isLine);
}

/** What JSON-RPC does not define beside a request is read by nobody here, so nothing of it goes on. */
function ownMembers({ text, value }: Pick<RpcRequest, "text" | "value">): string {
  if (Object.keys(value).every((key) => REQUEST_MEMBERS.has(key))) return text;
  const whole = spanOf(text, []);
  const edit =
    whole === undefined ? undefined : editMembers(text, whole, NO_MEMBERS, (key) => !REQUEST_MEMBERS.has(key));
  return edit === undefined ? text : applyEdits(text, [edit]);
}

const REQUEST_MEMBERS: ReadonlySet<string> = new Set(["jsonrpc", "id", "method", "params"]);
const ID = ["id"];
const PARAMS = ["params"];
const REQUEST_META = ["params", "_meta"];
const PROGRESS_TOKEN = ["params", "_meta", "progressToken"];
const NO_MEMBERS = {};

/** `_meta` for the server's era. The progress token becomes our id: tokens of two agents may be equal. */
function editMeta(edits: MessageEdits, text: string, rewrite: RequestRewrite): void {
  const { id, era, keepsLogLevel } = rewrite;
  if (spanOf(text, REQUEST_META) === undefined) {
    if (era === "modern") insertMeta(edits, text, rewrite);
    return;
  }
  const token = spanOf(text, PROGRESS_TOKEN) === undefined ? NO_MEMBERS : { progressToken: String(id) };
  if (era === "legacy") edits.setMembers(REQUEST_META, token, isNotLegacy);
  else
    edits.setMembers(
      REQUEST_META,
      { ...modernMeta(rewrite), ...token },
      keepsLogLevel === true ? isOurs : isOursOrLogLevel,
    );
}

/** Mandates and workflow tokens name people, and are for the gateway. */
function isOurs(key: string): boolean {
  return key === OUR_META.mandates || key === OUR_META.workflow;
}

function isOursOrLogLevel(key: string): boolean {
  return isOurs(key) || key === META.logLevel;
}

function isNotLegacy(key: string): boolean {
  return isOurs(key) || key.startsWith(RESERVED);
}

/** The server's own state in the place of the sealed one. */
function editState(edits: MessageEdits, { state }: RequestRewrite): void {
  if (state === undefined) return;
  if (state === null) edits.remove(PARAMS, "requestState");
  else edits.replace(["params", "requestState"], JSON.stringify(state));
}

function insertMeta(edits: MessageEdits, text: string, rewrite: RequestRewrite): void {
  const members = Object.entries(modernMeta(rewrite)).map(([key, value]) => `${JSON.stringify(key)}:${value}`);
  const meta = `{${members.join(",")}}`;
  if (spanOf(text, PARAMS) === undefined) edits.addFirst([], "params", `{"_meta":${meta}}`);
  else edits.addFirst(PARAMS, "_meta", meta);
}

/** Both eras of a call, and the id as the agent spelled it. */
export interface ResponseRewrite {
  readonly idText: string;
  readonly method: string;
  readonly agentEra: Era;
  readonly serverEra: Era;
  readonly isLine: boolean;
  /** The state that the agent carries to the next round. */
  readonly requestState?: string;
}

/** Methods whose modern results say how long they may be kept. */
const CACHEABLE: ReadonlySet<string> = new Set(["resources/read"]);
const MODERN_MEMBERS: ReadonlySet<string> = new Set(["resultType", "ttlMs", "cacheScope"]);

/** The response as it is returned to the agent. */
export function responseToAgent(received: string, rewrite: ResponseRewrite): Uint8Array {
  const text = withoutOurWords(received);
  const edits = new MessageEdits(text);
  edits.replace(ID, rewrite.idText);
  editResult(edits, rewrite);
  editError(edits, text, rewrite);
  return edits.format(rewrite.isLine);
}

const RESULT = ["result"];

function editResult(edits: MessageEdits, rewrite: ResponseRewrite): void {
  const { method, agentEra, serverEra, requestState } = rewrite;
  if (requestState !== undefined) edits.setMembers(RESULT, { requestState: JSON.stringify(requestState) }, keepAll);
  else if (agentEra === serverEra) return;
  else if (agentEra === "legacy") edits.setMembers(RESULT, NO_MEMBERS, (key) => MODERN_MEMBERS.has(key));
  else {
    const cache = CACHEABLE.has(method) ? { ttlMs: "0", cacheScope: '"private"' } : {};
    edits.setMembers(RESULT, { resultType: '"complete"', ...cache }, keepAll);
  }
}

function keepAll(): boolean {
  return false;
}

const ERROR_CODE = ["error", "code"];

/** SPEC MCP 2026-07-28: a resource that is not there is -32602; -32002 is never sent. */
function editError(edits: MessageEdits, text: string, { agentEra, serverEra }: ResponseRewrite): void {
  if (agentEra !== "modern" || serverEra !== "legacy") return;
  const isNotFound = rawAt(text, ERROR_CODE) === String(RPC.resourceNotFound);
  if (isNotFound) edits.replace(ERROR_CODE, String(RPC.invalidParams));
}

/** A progress notification of a server with the token of the agent. */
export function progressToAgent(text: string, tokenText: string, isLine: boolean): Uint8Array {
  return withMember(text, ["params", "progressToken"], tokenText, isLine);
}

/** A notification of a server that names nothing of ours: as it came, on one line if it must. */
export function messageToAgent(text: string, isLine: boolean): Uint8Array {
  return new MessageEdits(text).format(isLine);
}

/** A message under another id. */
export function withId(text: string, idText: string, isLine: boolean): Uint8Array {
  return withMember(text, ID, idText, isLine);
}

function withMember(text: string, path: readonly string[], json: string, isLine: boolean): Uint8Array {
  const edits = new MessageEdits(text);
  edits.replace(path, json);
  return edits.format(isLine);
}
