/**
 * A log by hand and its read path as a `fetch` function, honest until told otherwise: forks, shrinks, swapped entries,
 * missing cosignatures, false tiles. Everything it signs is signed with the keys of log-keys.ts.
 */

import { concat } from "../../kernel/bytes.ts";
import type { Cosigner } from "../../kernel/checkpoint/note-signer.ts";
import { type AdmissionPolicy, makeGenesis } from "../../kernel/genesis.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { signRegistration } from "../../kernel/registration.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { formatEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { parseTilePath } from "../../kernel/tile/path.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { checkpointText, logSigner, ORIGIN, seedOf, witnessedNote, witnesses } from "./log-keys.ts";
import { makeMemoryTree } from "./memory-tree.ts";
import { type GatewayKeys, STREAM_START_MS } from "./receipts.ts";

/** Reader's token of the log. */
export const READER_TOKEN: string = "r".repeat(40);

const ADMISSION: AdmissionPolicy = { software_evidence: "allow" };

/** The genesis entry of the log. */
export function genesisEntry(kind: "receipts" | "raw" = "receipts"): Uint8Array {
  const created = formatTimestamp(STREAM_START_MS - 10_000);
  const keys = [formatVerifierKey(logSigner.key)];
  const body = {
    kind: "log-genesis",
    v: 1,
    origin: ORIGIN,
    created,
    log_kind: kind,
    keys,
    admission: ADMISSION,
  } as const;
  return makeGenesis(body, createSigner("ed25519", seedOf(43)));
}

/** The registration of a gateway's keys. */
export function registrationEntry(keys: GatewayKeys, label = "test gateway"): Uint8Array {
  const time = formatTimestamp(STREAM_START_MS - 5_000);
  const body = { kind: "registration", v: 1, origin: ORIGIN, evidence: { type: "software" }, label, time } as const;
  return signRegistration(body, keys.instance, keys.receipt);
}

/** What a request is answered with instead of the truth; undefined lets the truth through. */
export type Lie = (path: string, truth: Uint8Array | undefined) => Uint8Array | number | undefined;

/** A log that tests fill, publish and make lie. */
export class AuditedLog {
  entries: Uint8Array[];
  note: string | undefined;
  /** Rewrites answers. */
  lie: Lie = () => undefined;
  /** False: connections fail. */
  isUp = true;
  readonly requests: string[] = [];
  readonly unauthorized: string[] = [];

  constructor(entries: readonly Uint8Array[] = [genesisEntry()]) {
    this.entries = [...entries];
  }

  append(...entries: readonly Uint8Array[]): this {
    this.entries.push(...entries);
    return this;
  }

  /** Publishes a checkpoint of the first `size` entries, cosigned by `by`. */
  publish(size: number = this.entries.length, by: readonly Cosigner[] = witnesses): this {
    this.note = witnessedNote(this.text(size), by);
    return this;
  }

  /** Text of the checkpoint of the first `size` entries. */
  text(size: number): string {
    const root = makeMemoryTree(this.entries.slice(0, size).map(hashLeaf)).roots.at(-1);
    if (root === undefined) throw new Error("a tree without a root");
    return checkpointText(BigInt(size), root);
  }

  /** The read path. */
  readonly fetch: typeof fetch = async (input, init) => {
    const path = new URL(String(input)).pathname.slice(1);
    this.requests.push(path);
    if (!this.isUp) throw new TypeError("fetch failed");
    if (path.startsWith("tile/entries/")) {
      const { authorization } = Object.fromEntries(new Headers(init?.headers ?? {}));
      if (authorization !== `Bearer ${READER_TOKEN}`) {
        this.unauthorized.push(path);
        return new Response("{}", { status: 401 });
      }
    }
    const truth = await this.#read(path);
    const answer = this.lie(path, truth) ?? truth;
    if (answer === undefined) return new Response("{}", { status: 404 });
    return typeof answer === "number" ? new Response("{}", { status: answer }) : new Response(new Uint8Array(answer));
  };

  async #read(path: string): Promise<Uint8Array | undefined> {
    if (path === "checkpoint") return this.note === undefined ? undefined : new TextEncoder().encode(this.note);
    const ref = parseTilePath(path);
    const first = Number(ref.index) * 256;
    if (ref.kind === "entries") return formatEntryBundle(this.entries.slice(first, first + ref.width));
    const tree = makeMemoryTree(this.entries.map(hashLeaf), { keepRoots: false });
    const ids = Array.from({ length: ref.width }, (_, i) => ({
      level: ref.level * 8,
      index: ref.index * 256n + BigInt(i),
    }));
    return concat(...(await tree.reader.readNodes(ids)));
  }
}
