/** Keyed hashes of callers and sessions: stable for one gateway, meaningless without its key. */

import { hmacSha256 } from "#crypto";
import { concat, formatUtf8, lengthPrefixed } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import type { Principal } from "../../kernel/receipt/identity.ts";
import type { Party, SessionKey } from "./call.ts";

/** Hashes names under the gateway's caller key. */
export interface KeyedNames {
  readonly principal: (party: Party) => Principal;
  /** An operator, apart from all callers. */
  readonly operator: (operator: Party) => Principal;
  /** An approver of catalogs, as the configuration names it. */
  readonly approver: (name: string) => Principal;
  /** Hash of what the session is resolved from, apart for each caller. */
  readonly session: (caller: Party, session: SessionKey) => string;
  /** Hash of a trace id or another correlation key. */
  readonly correlation: (text: string) => string;
  /** What shows that an id of a task was given to this caller, whether or not the task is still known. */
  readonly task: TagTask;
  /** Hash of a value that names a data subject, the same for every call that names it. */
  readonly dataSubject: (value: string) => string;
}

/** Hash of a random part of an id for the caller that is given it. */
export type TagTask = (caller: Party, nonce: string) => string;

/** Hashes that are kept; above it they are made again. */
const MAX_KNOWN = 4096;

/** A session that was hashed. */
interface KnownSession {
  readonly source: SessionKey["source"];
  readonly key: string;
  readonly hash: string;
}

/** @param key  32 bytes */
export function makeKeyedNames(key: Uint8Array): KeyedNames {
  const hash = (...parts: readonly string[]): string =>
    formatHex(hmacSha256(key, concat(...parts.map((part) => lengthPrefixed(formatUtf8(part))))));
  const known = new Map<string, string>();
  /** Callers and sessions come back with each of their calls. */
  const recall = (...parts: readonly string[]): string => {
    const text = JSON.stringify(parts);
    const found = known.get(text);
    if (found !== undefined) return found;
    const made = hash(...parts);
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(text, made);
    return made;
  };
  /** What each caller said last: most say the same with each of their calls. */
  const lastSessions = new WeakMap<Party, KnownSession>();
  const session = (caller: Party, { source, key: sessionKey }: SessionKey): string => {
    const last = lastSessions.get(caller);
    if (last?.key === sessionKey && last.source === source) return last.hash;
    const made = recall("session", caller.issuer, caller.name, source, sessionKey);
    lastSessions.set(caller, { source, key: sessionKey, hash: made });
    return made;
  };
  const principal = ({ issuer, name }: Party): Principal => ({ issuer, id: recall("principal", issuer, name) });
  return {
    principal,
    approver: (name) => principal({ issuer: "local", name }),
    operator: ({ issuer, name }) => ({ issuer, id: recall("operator", issuer, name) }),
    session,
    task: ({ issuer, name }, nonce) => hash("task", issuer, name, nonce),
    correlation: (text) => hash("correlation", text),
    dataSubject: (value) => hash("data-subject", value),
  };
}
