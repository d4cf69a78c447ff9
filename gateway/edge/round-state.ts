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
import { hex, integer, nullable, object, optional, readShape, type Shape, string } from "../../kernel/shape.ts";
import { OldestFirst } from "../oldest-first.ts";
import type { Caller, SessionKey } from "../pipeline/call.ts";

/** What the agent carries from one round to the next. */
export type RoundState = {
  /** The server's own state, byte for byte; null if it gave none. */
  readonly upstream: string | null;
  readonly expiresMs: number;
  /** Of the round that comes next, from 1; a round that waits for an approval comes again. */
  readonly round: number;
  /** Number of the decision receipt of round 0. */
  readonly firstSeq: number;
  /** Set if it is the gateway itself that asks: the agent carries it until somebody has decided. */
  readonly held?: HeldRound;
};

/** A round that waits for an approval. */
export type HeldRound = {
  readonly approval: string;
  /** Number of the decision that holds it. */
  readonly seq: number;
  /** What the agent had answered the server in this round, as JSON text; null if nothing. */
  readonly responses: string | null;
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
  /** @param fromMs  it ends ten minutes behind this time; default: now */
  readonly seal: (state: Omit<RoundState, "expiresMs">, scope: RoundScope, fromMs?: number) => string;
  /** Undefined if it was not sealed here for this scope, is too old, or waits for an approval and was opened before. */
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
/** The nonce in base64url: 12 bytes fill 16 characters. */
const NONCE_DIGITS = 16;
/** States of one approval, and approvals whose states are remembered. */
const MAX_USES = 128;
const MAX_APPROVALS = 1_024;
const KID_DIGITS = 8;
const FORMAT = /^cs1\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)$/u;

const stateShape: Shape<RoundState> = object<RoundState>({
  upstream: nullable(string({ maxLength: MAX_BYTES })),
  expiresMs: integer(),
  round: integer({ max: MAX_ROUNDS }),
  firstSeq: integer(),
  held: optional(
    object<HeldRound>({ approval: hex(16), seq: integer(), responses: nullable(string({ maxLength: MAX_BYTES })) }),
  ),
});

/** Makes the seal of one process. */
export function makeRoundStates(randomBytes: (length: number) => Uint8Array, nowMs: () => number): RoundStates {
  const key = randomBytes(KEY_BYTES);
  const kid = formatHex(sha256(key)).slice(0, KID_DIGITS);
  const used = new UsedStates();
  return {
    seal: (state, scope, fromMs = nowMs()) => {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(scopeBytes(scope));
      const plain = formatUtf8(JSON.stringify({ ...state, expiresMs: fromMs + LIFE_MS }));
      const sealed = concatAll([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
      return `cs1.${kid}.${formatBase64url(sealed)}`;
    },
    open: (text, scope) => {
      const [, ours, sealed] = FORMAT.exec(text) ?? [];
      if (sealed === undefined || ours !== kid) return undefined;
      const state = decrypt(key, sealed, scope);
      if (state === undefined || state.expiresMs < nowMs()) return undefined;
      return state.held === undefined || used.use(state.held.approval, sealed) ? state : undefined;
    },
  };
}

/**
 * States of held rounds that were opened: each is good once. What an approval lifts is one call whatever is carried, so what
 * is forgotten here gains nobody anything.
 */
class UsedStates {
  readonly #used = new OldestFirst<string, Set<string>>(MAX_APPROVALS);

  /** False if it was used, or if the agent has asked as often as it may. */
  use(approval: string, sealed: string): boolean {
    const known = this.#used.get(approval) ?? new Set();
    const nonce = sealed.slice(0, NONCE_DIGITS);
    if (known.has(nonce) || known.size >= MAX_USES) return false;
    this.#used.set(approval, known.add(nonce));
    this.#used.trim();
    return true;
  }
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
