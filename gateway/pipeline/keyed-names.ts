/** Keyed hashes of callers and sessions: stable for one gateway, meaningless without its key. */

import { hmacSha256 } from "#crypto";
import { concat, formatUtf8, lengthPrefixed } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import type { Identity, Principal } from "../../kernel/receipt/identity.ts";
import type { Caller, SessionKey } from "./call.ts";

/** Hashes names under the gateway's caller key. */
export interface KeyedNames {
  readonly principal: (caller: Pick<Caller, "issuer" | "name">) => Principal;
  readonly identity: (caller: Caller) => Identity;
  /** An approver of catalogs, as the configuration names it. */
  readonly approver: (name: string) => Principal;
  /** Hash of what the session is resolved from, apart for each caller. */
  readonly session: (caller: Caller, session: SessionKey) => string;
  /** Hash of a trace id or another correlation key. */
  readonly correlation: (text: string) => string;
  /** Hash of a value that names a data subject, the same for every call that names it. */
  readonly dataSubject: (value: string) => string;
}

/** @param key  32 bytes */
export function makeKeyedNames(key: Uint8Array): KeyedNames {
  const hash = (...parts: readonly string[]): string =>
    formatHex(hmacSha256(key, concat(...parts.map((part) => lengthPrefixed(formatUtf8(part))))));
  const idOf = ({ issuer, name }: Pick<Caller, "issuer" | "name">): string => hash("principal", issuer, name);
  return {
    approver: (name) => ({ issuer: "local", id: idOf({ issuer: "local", name }) }),
    principal: (caller) => ({ issuer: caller.issuer, id: idOf(caller) }),
    identity: (caller) => ({
      issuer: caller.issuer,
      id: idOf(caller),
      provenance: caller.provenance,
      outcome: caller.outcome,
      binding: "connection",
    }),
    session: (caller, { source, key: sessionKey }) => hash("session", caller.issuer, caller.name, source, sessionKey),
    correlation: (text) => hash("correlation", text),
    dataSubject: (value) => hash("data-subject", value),
  };
}
