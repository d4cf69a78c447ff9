/**
 * What changes in a message between the legs: ids, names, progress tokens, and what one era adds to or takes from the
 * other. Everything else keeps its bytes; a message that needs no change is the received one.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import type { Era } from "../../kernel/receipt/vocabulary.ts";
import { META, OUR_META } from "./meta-keys.ts";
import { MODERN_REVISION } from "./revisions.ts";
import type { RpcRequest } from "./rpc.ts";
import { RPC } from "./rpc-error.ts";
import { applyEdits, type Edit, editMembers, memberSpans, rawAt, removeMember, spanOf } from "./spans.ts";

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
export function requestToServer({ text }: RpcRequest, rewrite: RequestRewrite): Uint8Array {
  const edits: (Edit | undefined)[] = [replaceAt(text, ["id"], String(rewrite.id))];
  if (rewrite.name !== undefined) edits.push(replaceAt(text, rewrite.name.path, JSON.stringify(rewrite.name.value)));
  edits.push(editMeta(text, rewrite), editState(text, rewrite));
  return formatMessage(applyEdits(text, edits.filter(isEdit)), rewrite.isLine);
}

/** Line ends stand between tokens only: inside a string JSON escapes them. */
function formatMessage(text: string, isLine: boolean): Uint8Array {
  return formatUtf8(isLine ? text.replace(/[\r\n]/gu, " ") : text);
}

/** `_meta` for the server's era. The progress token becomes our id: tokens of two agents may be equal. */
function editMeta(text: string, rewrite: RequestRewrite): Edit | undefined {
  const { id, era } = rewrite;
  const span = spanOf(text, ["params", "_meta"]);
  if (span === undefined) return era === "modern" ? insertMeta(text, rewrite) : undefined;
  const token = rawAt(text, ["params", "_meta", "progressToken"]) === undefined ? {} : { progressToken: String(id) };
  // Mandates and workflow tokens name people, and are for the gateway.
  const isOurs = (key: string): boolean => key === OUR_META.mandates || key === OUR_META.workflow;
  if (era === "modern") {
    const drop = (key: string): boolean => isOurs(key) || (key === META.logLevel && rewrite.keepsLogLevel !== true);
    return editMembers(text, span, { ...modernMeta(rewrite), ...token }, drop);
  }
  return editMembers(text, span, token, (key) => isOurs(key) || key.startsWith(RESERVED));
}

/** The server's own state in the place of the sealed one. */
function editState(text: string, { state }: RequestRewrite): Edit | undefined {
  if (state === undefined) return undefined;
  if (state !== null) return replaceAt(text, ["params", "requestState"], JSON.stringify(state));
  const params = spanOf(text, ["params"]);
  return params === undefined ? undefined : removeMember(text, params, "requestState");
}

function insertMeta(text: string, rewrite: RequestRewrite): Edit {
  const members = Object.entries(modernMeta(rewrite)).map(([key, value]) => `${JSON.stringify(key)}:${value}`);
  const meta = `"_meta":{${members.join(",")}}`;
  const params = spanOf(text, ["params"]);
  if (params === undefined) return insertMember(text, 0, `"params":{${meta}}`);
  return insertMember(text, params.start, meta);
}

/** Puts a member at the front of the object at or behind `from`. */
function insertMember(text: string, from: number, member: string): Edit {
  const brace = text.indexOf("{", from);
  const comma = memberSpans(text, brace).length === 0 ? "" : ",";
  return { start: brace + 1, end: brace + 1, text: `${member}${comma}` };
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
export function responseToAgent(text: string, rewrite: ResponseRewrite): Uint8Array {
  const edits = [replaceAt(text, ["id"], rewrite.idText), editResult(text, rewrite), editError(text, rewrite)];
  return formatMessage(applyEdits(text, edits.filter(isEdit)), rewrite.isLine);
}

function editResult(text: string, rewrite: ResponseRewrite): Edit | undefined {
  const { method, agentEra, serverEra, requestState } = rewrite;
  const span = spanOf(text, ["result"]);
  if (span !== undefined && requestState !== undefined) {
    return editMembers(text, span, { requestState: JSON.stringify(requestState) }, () => false);
  }
  if (span === undefined || agentEra === serverEra) return undefined;
  if (agentEra === "legacy") return editMembers(text, span, {}, (key) => MODERN_MEMBERS.has(key));
  const cache = CACHEABLE.has(method) ? { ttlMs: "0", cacheScope: '"private"' } : {};
  return editMembers(text, span, { resultType: '"complete"', ...cache }, () => false);
}

/** SPEC MCP 2026-07-28: a resource that is not there is -32602; -32002 is never sent. */
function editError(text: string, { agentEra, serverEra }: ResponseRewrite): Edit | undefined {
  if (agentEra !== "modern" || serverEra !== "legacy") return undefined;
  const isNotFound = rawAt(text, ["error", "code"]) === String(RPC.resourceNotFound);
  return isNotFound ? replaceAt(text, ["error", "code"], String(RPC.invalidParams)) : undefined;
}

/** A progress notification of a server with the token of the agent. */
export function progressToAgent(text: string, tokenText: string, isLine: boolean): Uint8Array {
  const edit = replaceAt(text, ["params", "progressToken"], tokenText);
  return formatMessage(edit === undefined ? text : applyEdits(text, [edit]), isLine);
}

/** A notification of a server that names nothing of ours: as it came, on one line if it must. */
export function messageToAgent(text: string, isLine: boolean): Uint8Array {
  return formatMessage(text, isLine);
}

/** A message under another id. */
export function withId(text: string, idText: string, isLine: boolean): Uint8Array {
  const edit = replaceAt(text, ["id"], idText);
  return formatMessage(edit === undefined ? text : applyEdits(text, [edit]), isLine);
}

function replaceAt(text: string, path: readonly string[], value: string): Edit | undefined {
  const span = spanOf(text, path);
  return span === undefined ? undefined : { ...span, text: value };
}

function isEdit(edit: Edit | undefined): edit is Edit {
  return edit !== undefined;
}
