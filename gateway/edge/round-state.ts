/**
 * The state of a multi-round request, sealed for the agent that carries it (mcp-gateway §6.1): `cs1.<kid>.<base64url of
 * nonce, ciphertext and tag>`, AES-256-GCM. Servers behind shared credentials cannot tell our agents apart, so without the
 * seal one agent could replay another's state. The key lives as long as the process: after a restart the agent starts anew.
 */

import { createCipheriv, createDecipheriv } from "node:crypto";
import { sha256 } from "#crypto";
import { formatBase64url, parseBase64url } from "../../kernel/base64url.ts";
import { concatAll, formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import { integer, nullable, object, readShape, type Shape, string } from "../../kernel/shape.ts";
import type { Caller, SessionKey } from "../pipeline/call.ts";

/** What the agent carries from one round to the next. */
export type RoundState = {
  /** The server's own state, byte for byte; null if it gave none. */
  readonly upstream: string | null;
  readonly expiresMs: number;
  /** Of the round that comes next, from 1. */
  readonly round: number;
  /** Number of the decision receipt of round 0. */
  readonly firstSeq: number;
};

/** What a state is good for: this caller's same request at the same server, and nothing else. */
export interface RoundScope {
  readonly caller: Caller;
  readonly session: SessionKey;
  readonly serverId: string;
  readonly method: string;
  /** Name or URI at the server. */
  readonly name: string;
  readonly params: JsonObject;
}

/** Seals and opens states. */
export interface RoundStates {
  readonly seal: (state: Omit<RoundState, "expiresMs">, scope: RoundScope) => string;
  /** Undefined if it was not sealed here for this scope, or is too old. */
  readonly open: (text: string, scope: RoundScope) => RoundState | undefined;
}

/** Rounds behind the first. */
export const MAX_ROUNDS = 10;

/** Of the largest message that an agent may send. */
const MAX_BYTES = 16 * 1024 * 1024;
const LIFE_MS = 600_000;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KID_DIGITS = 8;
const FORMAT = /^cs1\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)$/u;

const stateShape: Shape<RoundState> = object<RoundState>({
  upstream: nullable(string({ maxLength: MAX_BYTES })),
  expiresMs: integer(),
  round: integer({ min: 1, max: MAX_ROUNDS }),
  firstSeq: integer(),
});

/** Makes the seal of one process. */
export function makeRoundStates(randomBytes: (length: number) => Uint8Array, nowMs: () => number): RoundStates {
  const key = randomBytes(KEY_BYTES);
  const kid = formatHex(sha256(key)).slice(0, KID_DIGITS);
  return {
    seal: (state, scope) => {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(scopeBytes(scope));
      const plain = formatUtf8(JSON.stringify({ ...state, expiresMs: nowMs() + LIFE_MS }));
      const sealed = concatAll([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
      return `cs1.${kid}.${formatBase64url(sealed)}`;
    },
    open: (text, scope) => {
      const [, ours, sealed] = FORMAT.exec(text) ?? [];
      if (sealed === undefined || ours !== kid) return undefined;
      const state = decrypt(key, sealed, scope);
      return state === undefined || state.expiresMs < nowMs() ? undefined : state;
    },
  };
}

function decrypt(key: Uint8Array, sealed: string, scope: RoundScope): RoundState | undefined {
  try {
    const bytes = parseBase64url(sealed);
    if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
    const cipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE_BYTES)).setAAD(scopeBytes(scope));
    cipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    const plain = concatAll([cipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), cipher.final()]);
    return readShape(stateShape, parseJson(plain, { maxBytes: MAX_BYTES }), "state");
  } catch {
    // Cut, changed, or of another scope: the agent learns no more than that.
    return undefined;
  }
}

/**
 * The scope as the seal binds it. A trace or an idle window is not part of it: the next round may come in another trace, and
 * nobody vouches for either.
 */
function scopeBytes({ caller, session, serverId, method, name, params }: RoundScope): Uint8Array {
  const given: JsonValue = params["arguments"] ?? null;
  return canonicalBytes({
    type: "countersign/round-state",
    v: 1,
    issuer: caller.issuer,
    caller: caller.name,
    session: session.trust === "inferred" ? null : session.key,
    server: serverId,
    method,
    name,
    arguments: formatHex(sha256(canonicalBytes(given))),
  });
}
