/**
 * What a kill switch or a quarantine is about, as operators write it and as it is kept. People and sessions are kept by
 * the keyed hashes that receipts have, so nothing here names anybody.
 *
 *     all
 *     principal:<64 hex>   or  principal:<issuer>|<name>
 *     session:<64 hex>     or  session:<uuid of an open session>
 *     server:<id>
 *     tool:<server id>/<tool>
 */

import { FormatError } from "../../kernel/errors.ts";
import { hex64Shape, serverIdShape } from "../../kernel/receipt/fields.ts";
import { sessionIdShape } from "../../kernel/receipt/identity.ts";
import type { ActionTarget } from "../../kernel/receipt/operator-action.ts";
import { readShape, type Shape } from "../../kernel/shape.ts";
import { type InboundCall, toolBehind } from "../pipeline/call.ts";
import { isPlainName } from "../pipeline/call-facts.ts";
import { commitText } from "../pipeline/commitments.ts";
import type { KeyedNames } from "../pipeline/keyed-names.ts";

/** A target in its kept form: `all`, or `<type>:<value>` with keyed hashes. */
export type ControlTarget = string;

/** How the names in an operator's text are looked up. */
export interface TargetLookup {
  readonly names: KeyedNames;
  /** Key of an open session by its id; undefined if none is open under it. */
  readonly sessionKey: (id: string) => string | undefined;
}

const MAX_LENGTH = 300;

/**
 * The target that an operator's text names.
 *
 * @throws {FormatError} ERR_CONTROL_TARGET
 */
export function parseTarget(text: string, { names, sessionKey }: TargetLookup): ControlTarget {
  if (text === "all") return "all";
  if (text.length > MAX_LENGTH) throw refused("a shorter target");
  const { type, value } = split(text);
  switch (type) {
    case "principal":
      return isShape(hex64Shape, value) ? text : `principal:${principalOf(value, names)}`;
    case "session":
      return isShape(hex64Shape, value) ? text : `session:${sessionOf(value, sessionKey)}`;
    case "server":
      if (isShape(serverIdShape, value)) return text;
      throw refused("server:<id>");
    case "tool":
      toolOf(value);
      return text;
    default:
      throw refused("all, or principal:, session:, server: or tool: and a value");
  }
}

/** A target as it is kept; anything else is damage. @throws {FormatError} ERR_CONTROL_TARGET */
export function readTarget(text: string): ControlTarget {
  const { type, value } = split(text);
  const isKept =
    text === "all" ||
    ((type === "principal" || type === "session") && isShape(hex64Shape, value)) ||
    (type === "server" && isShape(serverIdShape, value)) ||
    (type === "tool" && toolOf(value) !== undefined);
  if (isKept) return text;
  throw refused("a target as it is kept");
}

/** The target in a receipt. */
export function actionTargetOf(target: ControlTarget, secret: Uint8Array): ActionTarget {
  if (target === "all") return { type: "all" };
  const { type, value } = split(target);
  if (type === "principal") return { type, id: value };
  if (type === "session") return { type, key: value };
  if (type === "server") return { type, server: value };
  const { server, name } = toolOf(value);
  const called = isPlainName(name)
    ? ({ form: "name", name } as const)
    : ({ form: "commitment", commitment: commitText(secret, "target", name) } as const);
  return { type: "tool", server, name: called };
}

/** Every target that a call is under, the most telling first. Principal and session cost a hash each. */
export function targetsOf(call: InboundCall, names: KeyedNames): readonly ControlTarget[] {
  const { serverId } = call;
  const tool = toolBehind(call);
  return [
    "all",
    `server:${serverId}`,
    ...(tool === undefined ? [] : [`tool:${serverId}/${tool}`]),
    ...subjectsOf(call, names),
  ];
}

/** The principal and the session of a call. */
export function subjectsOf({ caller, session }: InboundCall, names: KeyedNames): readonly ControlTarget[] {
  return [`principal:${names.principal(caller).id}`, `session:${names.session(caller, session)}`];
}

function principalOf(value: string, names: KeyedNames): string {
  const at = value.indexOf("|");
  if (at < 1 || at === value.length - 1) throw refused("principal:<64 hex> or principal:<issuer>|<name>");
  const [issuer, name] = [value.slice(0, at), value.slice(at + 1)];
  return names.principal({ issuer, name }).id;
}

function sessionOf(value: string, sessionKey: TargetLookup["sessionKey"]): string {
  const key = isShape(sessionIdShape, value) ? sessionKey(value) : undefined;
  if (key === undefined) throw refused("session:<64 hex> or the UUID of an open session");
  return key;
}

function toolOf(value: string): { readonly server: string; readonly name: string } {
  const at = value.indexOf("/");
  const [server, name] = [value.slice(0, Math.max(at, 0)), value.slice(at + 1)];
  if (at < 0 || name === "" || !isShape(serverIdShape, server)) throw refused("tool:<server>/<tool>");
  return { server, name };
}

function split(text: string): { readonly type: string; readonly value: string } {
  const at = text.indexOf(":");
  return at < 0 ? { type: text, value: "" } : { type: text.slice(0, at), value: text.slice(at + 1) };
}

function isShape(shape: Shape<string>, value: string): boolean {
  try {
    readShape(shape, value, "target");
    return true;
  } catch {
    return false;
  }
}

function refused(want: string): FormatError {
  return new FormatError("ERR_CONTROL_TARGET", `target: want ${want}`);
}
