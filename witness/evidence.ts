/**
 * What a witness keeps of misbehaviour, durable and bounded, in `evidence/`:
 *
 *     <origin 16 hex>-<SHA-256 64 hex>.fork       proof of a fork (docs/formats/fork-evidence.md)
 *     <origin 16 hex>-<SHA-256 64 hex>.conflict   a signed checkpoint that was answered 422 and that proves nothing by itself:
 *                                                 the recorded note, a zero byte, the refused note
 *
 * Anybody can put a false proof beside a true checkpoint, so a conflict accuses nobody and few are kept.
 */

import { sha256 } from "#crypto";
import { formatUtf8 } from "../kernel/bytes.ts";
import { proveLogFork } from "../kernel/checkpoint/fork-evidence.ts";
import { formatHex } from "../kernel/hex.ts";
import type { NodeHash } from "../kernel/merkle/hash.ts";
import type { VerifierKey } from "../kernel/note/verifier-key.ts";
import { originHash } from "./state-book.ts";
import type { StateFiles } from "./state-files.ts";

/** A refused request with a good signature. */
export interface Contradiction {
  readonly origin: string;
  /** The log's keys. */
  readonly keys: readonly VerifierKey[];
  readonly recorded: string | undefined;
  /** As it was sent. */
  readonly refused: string;
  readonly proof: readonly NodeHash[];
}

/** Which kind of file was written, if one was. */
export type Kept = "fork" | "conflict" | undefined;

const FOLDER = "evidence";
const NAME = /^[0-9a-f]{16}-[0-9a-f]{64}\.(?:fork|conflict)$/u;
const MAX_KEPT = { fork: 256, conflict: 16 } as const;

/** The evidence of one witness. */
export class EvidenceShelf {
  readonly #files: StateFiles;
  readonly #names: Set<string>;

  private constructor(files: StateFiles, names: readonly string[]) {
    this.#files = files;
    this.#names = new Set(names);
  }

  /** Opens the shelf; evidence of earlier runs stays. */
  static async open(files: StateFiles): Promise<EvidenceShelf> {
    return new EvidenceShelf(
      files,
      (await files.list(FOLDER)).filter((name) => NAME.test(name)),
    );
  }

  /** Names of what is kept, sorted. */
  get names(): readonly string[] {
    return [...this.#names].sort();
  }

  /** The document of this name, or undefined. */
  async read(name: string): Promise<Uint8Array | undefined> {
    return this.#names.has(name) ? this.#files.read(`${FOLDER}/${name}`) : undefined;
  }

  /** Keeps what a refusal shows; durable when it resolves. @throws if it cannot be written */
  async keep(contradiction: Contradiction): Promise<Kept> {
    const { origin, keys, recorded, refused, proof } = contradiction;
    const fork = proveLogFork(recorded, refused, proof, keys);
    const kind = fork === undefined ? "conflict" : "fork";
    const content = fork ?? formatUtf8(`${recorded ?? ""}\u0000${refused}`);
    const prefix = originHash(origin).slice(0, 16);
    const name = `${prefix}-${formatHex(sha256(content))}.${kind}`;
    const count = [...this.#names].filter((other) => other.startsWith(prefix) && other.endsWith(kind)).length;
    if (this.#names.has(name) || count >= MAX_KEPT[kind]) return undefined;
    this.#names.add(name);
    try {
      await this.#files.replace(`${FOLDER}/${name}`, content);
    } catch (error) {
      this.#names.delete(name);
      throw error;
    }
    return kind;
  }
}
