/** A log that makes statements about itself, from fixed seeds: its keys, its entries, its status documents. */

import { concatAll, formatUtf8 } from "../../kernel/bytes.ts";
import { formatCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { makeLogMlDsaSigner, makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import { type Genesis, makeGenesis, parseGenesis } from "../../kernel/genesis.ts";
import { parseCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import type { LogState } from "../../kernel/lifecycle/log-state.ts";
import { nextLogState, signersOf, startLogState } from "../../kernel/lifecycle/log-state.ts";
import { formatLogStatus, type LogStatusDocument, type ShownEntry } from "../../kernel/lifecycle/log-status.ts";
import {
  type KeyRotationBody,
  parseStatement,
  type StatementBody,
  signStatement,
} from "../../kernel/lifecycle/statement.ts";
import { EMPTY_ROOT, hashLeaf } from "../../kernel/merkle/hash.ts";
import { proveInclusion } from "../../kernel/merkle/prove.ts";
import { formatNote } from "../../kernel/note/signed-note.ts";
import { makeSignerKey, type SignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { createSigner, type EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { formatEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { parseTimestamp, type Timestamp } from "../../kernel/time.ts";
import { ORIGIN, seedOf, TIME, witnesses } from "./log-keys.ts";
import { makeMemoryTree } from "./memory-tree.ts";

/** The operator of the genesis entry, and one who is not. */
export const operator: EnvelopeSigner = createSigner("ed25519", seedOf(3));
export const otherOperator: EnvelopeSigner = createSigner("ed25519", seedOf(4));

/** Pair `n` of the log: Ed25519 and ML-DSA-44. Pair 0 is that of `log-keys.ts`. */
export function pairOf(n: number): readonly [SignerKey, SignerKey] {
  return [makeSignerKey(ORIGIN, 0x01, seedOf(1 + 2 * n)), makeSignerKey(ORIGIN, 0x06, seedOf(2 + 2 * n))];
}

/** Verifier keys of a pair, as text. */
export const vkeysOf = (pair: readonly SignerKey[]): readonly string[] =>
  pair.map(({ verifierKey }) => formatVerifierKey(verifierKey));

export const AT: Timestamp = parseTimestamp("2026-01-02T03:04:05.678Z");

/** Members that every statement has. */
export const header = (index: number): Pick<StatementBody, "v" | "origin" | "index" | "time"> => ({
  v: 1,
  origin: ORIGIN,
  index,
  time: AT,
});

/** A rotation from pair `from` to pair `to`. */
export function rotationBody(index: number, from: number, to: number): KeyRotationBody {
  return { ...header(index), kind: "log-key-rotation", old_keys: vkeysOf(pairOf(from)), new_keys: vkeysOf(pairOf(to)) };
}

/** The retirement of the pair that the statement before rotated away. */
export const retirementBody = (index: number): StatementBody => ({
  ...header(index),
  kind: "log-key-retirement",
  rotation_index: index - 1,
});

/** The closing of the log at `index`. */
export const closingBody = (index: number): StatementBody => ({
  ...header(index),
  kind: "log-closing",
  end: "frozen",
  reason: "over",
  final_size: index + 1,
});

const secrets = new Map<string, SignerKey>();
/** The secret of a key of one of the pairs. */
function secretOf(vkey: string): SignerKey {
  if (secrets.size === 0) {
    for (let n = 0; n < 6; n += 1) for (const key of pairOf(n)) secrets.set(formatVerifierKey(key.verifierKey), key);
  }
  const secret = secrets.get(vkey);
  if (secret === undefined) throw new Error("a key of none of the pairs");
  return secret;
}

export const genesisBytes: Uint8Array = makeGenesis(
  {
    kind: "log-genesis",
    v: 1,
    origin: ORIGIN,
    created: AT,
    log_kind: "receipts",
    keys: vkeysOf(pairOf(0)),
    admission: { software_evidence: "allow" },
  },
  operator,
);
export const genesis: Genesis = parseGenesis(genesisBytes);

/** The object that entry bytes spell. */
export function objectOf(bytes: Uint8Array): JsonObject {
  const value = parseCanonical(bytes);
  if (!isJsonObject(value)) throw new Error("not an object");
  return value;
}

/** A log in memory whose statements are signed as they must be. */
export class StatedLog {
  readonly entries: Uint8Array[] = [genesisBytes];
  readonly statements: { readonly index: number; readonly bytes: Uint8Array }[] = [];
  state: LogState = startLogState(genesis);

  get next(): number {
    return this.entries.length;
  }

  /** Adds entries of no meaning. */
  fill(count: number): this {
    for (let i = 0; i < count; i += 1) this.entries.push(formatUtf8(`entry ${this.next}`));
    return this;
  }

  /** Signs a statement with the keys that must sign it here. */
  sign(body: StatementBody): Uint8Array {
    const keys = signersOf(this.state, body).map((key) => secretOf(formatVerifierKey(key)));
    return signStatement(body, keys, operator);
  }

  /** Signs and adds a statement. */
  declare(make: (index: number) => StatementBody): this {
    const index = this.next;
    const bytes = this.sign(make(index));
    this.state = nextLogState(this.state, parseStatement(bytes), index);
    this.statements.push({ index, bytes });
    this.entries.push(bytes);
    return this;
  }

  /** The checkpoint of the first `size` entries, signed by pairs and cosigned by the first `quorum` witnesses. */
  note(pairs: readonly number[], size: number = this.next, quorum = 2, seconds: bigint = TIME): string {
    const tree = makeMemoryTree(this.entries.slice(0, size).map(hashLeaf));
    const root = tree.roots[size] ?? EMPTY_ROOT;
    const text = formatCheckpoint({ origin: ORIGIN, size: BigInt(size), root, extensions: [] });
    const lines = pairs.flatMap((n) => {
      const [ed25519, mlDsa] = pairOf(n);
      return [
        makeLogSigner(ORIGIN, ed25519.seed).signLine(text),
        makeLogMlDsaSigner(ORIGIN, mlDsa.seed).cosign(text, seconds),
      ];
    });
    return formatNote(text, [...lines, ...witnesses.slice(0, quorum).map(({ cosign }) => cosign(text, seconds))]);
  }

  /** The status document under a note of the first `size` entries. */
  async document(note: string, size: number = this.next, isPublic = false): Promise<LogStatusDocument> {
    const tree = makeMemoryTree(this.entries.slice(0, size).map(hashLeaf));
    const show = async (index: number, bytes: Uint8Array): Promise<ShownEntry> => ({
      index,
      entry: objectOf(bytes),
      proof: await proveInclusion(BigInt(index), BigInt(size), tree.reader),
    });
    const shown: ShownEntry[] = [];
    for (const { index, bytes } of this.statements) if (index < size) shown.push(await show(index, bytes));
    const last = this.entries[size - 1] ?? genesisBytes;
    return {
      checkpoint: note,
      genesis: await show(0, genesisBytes),
      statements: shown,
      last: {
        leaf: hashLeaf(last),
        proof: await proveInclusion(BigInt(size - 1), BigInt(size), tree.reader),
        ...(isPublic ? { entry: last } : {}),
      },
    };
  }
}

/** Serves a log of fewer than 256 entries under a note; any bearer may read. */
export function serveStated(log: StatedLog, note: string): typeof fetch {
  return async (input) => {
    const path = new URL(String(input)).pathname.slice(1);
    if (path === "checkpoint") return new Response(note);
    if (path === "log-status") return new Response(Buffer.from(formatLogStatus(await log.document(note))));
    const width = Number(/\.p\/(\d+)$/u.exec(path)?.[1] ?? log.next);
    const entries = log.entries.slice(0, width);
    if (path.startsWith("tile/entries/000")) return new Response(Buffer.from(formatEntryBundle(entries)));
    if (path.startsWith("tile/0/000")) return new Response(Buffer.from(concatAll(entries.map(hashLeaf))));
    return new Response("none", { status: 404 });
  };
}
