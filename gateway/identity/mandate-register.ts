/**
 * Whose mandates are taken, and which were taken back: files that are read again while the gateway runs. Each version that
 * comes into force has a receipt, in the turn from which on it holds; one that may not follow the one before changes nothing.
 * What is in force is kept in the data folder, so that no older one comes after it over a restart.
 */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { sha256 } from "#crypto";
import { CheckError, errorCode, FormatError, StoreError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { MandateChain, MandateRoot } from "../../kernel/mandate/mandate-chain.ts";
import {
  type CheckedRevocations,
  checkSuccessor,
  isRevoked,
  MAX_REVOCATIONS_BYTES,
  parseRevocations,
  type RevokedByKey,
  revokedByKey,
} from "../../kernel/mandate/mandate-revocations.ts";
import type { Digest } from "../../kernel/receipt/fields.ts";
import type { OperatorAction } from "../../kernel/receipt/vocabulary.ts";
import { integer, literal, object, readShape, type Shape } from "../../kernel/shape.ts";
import type { ActionBook, Operator } from "../controls/operator.ts";
import type { World } from "../options.ts";
import { readIfThere } from "../receipts/read-if-there.ts";
import { writeDurably } from "../receipts/write-durably.ts";
import { type MandateConfig, mandateRootsShape } from "./mandate-config.ts";

/** What the register works with. */
export interface MandateRegisterOptions {
  readonly config: MandateConfig;
  readonly dataDir: string;
  readonly readFile: ((path: string) => Uint8Array) | undefined;
  readonly actions: ActionBook;
  readonly world: Pick<World, "nowMs" | "schedule">;
  /** Told behind the receipt of each change. */
  readonly onChange: () => void;
  readonly onFault: (fields: object, message: string) => void;
}

/** Names of those who may make first mandates, as a file has them. */
type RootsFile = { readonly v: 1; readonly version: number; readonly roots: readonly MandateRoot[] };

interface Roots {
  readonly version: number;
  readonly digest: Digest;
  readonly roots: readonly MandateRoot[];
}

/** Versions that are in force now, of which a restart must not forget any. */
interface Found {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly action: OperatorAction;
  readonly digest: Digest;
  readonly version: number;
  readonly count: number;
  readonly apply: () => void;
}

const REFRESH_SECONDS = 60;
const MAX_ROOTS_BYTES = 1_048_576;
const ROOTS_NAME = "mandate-roots.json";

const rootsFileShape: Shape<RootsFile> = object<RootsFile>({
  v: literal(1),
  version: integer({ min: 1 }),
  roots: mandateRootsShape,
});

/** What a reload came to. */
export type ReloadedMandates = { readonly changed: number };

/** The register of a run. */
export class MandateRegister {
  readonly #options: MandateRegisterOptions;
  #roots: Roots | undefined;
  readonly #lists = new Map<string, CheckedRevocations>();
  #revoked: RevokedByKey = new Map();
  /** Digests whose receipts this run has written. */
  readonly #told = new Set<Digest>();
  #running: Promise<unknown> = Promise.resolve();

  private constructor(options: MandateRegisterOptions) {
    this.#options = options;
  }

  /**
   * Reads what was in force last, and what the files say now. Nothing is written yet.
   *
   * @throws {FormatError} ERR_JSON_*, ERR_SHAPE, ERR_CONFIG (a file is named and nobody reads files)
   * @throws {CheckError} ERR_MANDATE_LIST, ERR_MANDATE_BROKEN, ERR_KEY_*
   * @throws {StoreError} ERR_FILE_READ
   */
  static async open(options: MandateRegisterOptions): Promise<MandateRegister> {
    const register = new MandateRegister(options);
    await register.#readKept();
    for (const found of register.#read()) found.apply();
    return register;
  }

  /** Keys by which principals make first mandates, now; another list after each change. */
  get roots(): readonly MandateRoot[] {
    return this.#roots?.roots ?? this.#options.config.roots ?? NO_ROOTS;
  }

  /** True if a hop of the chain was taken back. */
  isRevoked(chain: Pick<MandateChain, "links">): boolean {
    return isRevoked(chain, this.#revoked);
  }

  /** Writes receipts of what is in force, and reads the files again on a cycle. @returns the function that stops it */
  async start(): Promise<() => void> {
    await this.reload(undefined);
    const { config, world } = this.#options;
    if (config.roots_file === undefined && config.revocation_files === undefined) return () => undefined;
    return world.schedule((config.refresh_seconds ?? REFRESH_SECONDS) * 1000, () => {
      this.reload(undefined).catch((error: unknown) => this.#fault(error));
    });
  }

  /**
   * Reads the files, one reload at a time. What may not come into force leaves everything as it is.
   *
   * @param operator  who asks for it; undefined for the clock
   * @throws as `open`, and {StoreError} ERR_STREAM_FAILED
   */
  reload(operator: Operator | undefined): Promise<ReloadedMandates> {
    const next = this.#running.then(() => this.#reload(operator));
    this.#running = next.catch(() => undefined);
    return next;
  }

  async #reload(operator: Operator | undefined): Promise<ReloadedMandates> {
    const { actions, dataDir, onChange } = this.#options;
    const due = this.#read().filter(({ digest }) => !this.#told.has(digest));
    for (const { name, bytes, action, digest, version, count, apply } of due) {
      // First kept, then in force: a crash between the two leaves a version that the next start has to take.
      await writeDurably(dataDir, name, bytes);
      await actions.write({
        action,
        operator,
        target: () => {
          apply();
          return { type: "mandates", file: digest, version, count };
        },
        reason: action === "mandates-revoked" ? "delegation.revoked" : "delegation.roots",
      });
      this.#told.add(digest);
    }
    if (due.length > 0) onChange();
    return { changed: due.length };
  }

  /** What the files say now, checked against what is in force. */
  #read(): readonly Found[] {
    const { config } = this.#options;
    const files = (config.revocation_files ?? []).map((path) => this.#readList(this.#bytesOf(path)));
    const names = files.map(({ name }) => name);
    if (new Set(names).size < names.length) throw new CheckError("ERR_MANDATE_LIST", "two lists of one key");
    const roots = config.roots_file === undefined ? [] : [this.#readRoots(this.#bytesOf(config.roots_file))];
    return [...roots, ...files];
  }

  #readRoots(bytes: Uint8Array): Found {
    const roots = parseRoots(bytes);
    const before = this.#roots;
    if (before !== undefined && before.digest !== roots.digest && roots.version <= before.version) {
      throw new CheckError("ERR_MANDATE_LIST", "a list of roots that is not newer than the one known");
    }
    const { digest, version } = roots;
    const apply = (): void => {
      if (this.#roots?.digest !== digest) this.#roots = roots;
    };
    const count = roots.roots.length;
    return { name: ROOTS_NAME, bytes, action: "mandate-roots-loaded", digest, version, count, apply };
  }

  #readList(bytes: Uint8Array): Found {
    const list = parseRevocations(bytes);
    const before = this.#lists.get(list.kid);
    if (before !== undefined) checkSuccessor(before, list, this.#options.world.nowMs());
    const { digest, version } = list;
    const apply = (): void => {
      this.#lists.set(list.kid, list);
      this.#revoked = revokedByKey([...this.#lists.values()]);
    };
    const name = `mandate-revocations-${list.kid}.json`;
    return { name, bytes, action: "mandates-revoked", digest, version, count: list.revoked.length, apply };
  }

  /** What was in force at the end of the last run: nothing older comes after it. */
  async #readKept(): Promise<void> {
    const { config, dataDir } = this.#options;
    const kept = config.roots_file === undefined ? undefined : await keptIn(dataDir, ROOTS_NAME);
    if (kept !== undefined) this.#roots = parseRoots(kept);
    // Also those of keys whose files are not named any more: what was taken back stays taken back.
    for (const name of await keptNames(dataDir)) {
      const bytes = await keptIn(dataDir, name);
      if (bytes === undefined) continue;
      const list = parseRevocations(bytes);
      this.#lists.set(list.kid, list);
    }
    this.#revoked = revokedByKey([...this.#lists.values()]);
  }

  #bytesOf(path: string): Uint8Array {
    const { readFile } = this.#options;
    if (readFile !== undefined) return readFile(path);
    throw new FormatError("ERR_CONFIG", "config.auth.mandates: a file is named, and none can be read here");
  }

  #fault(error: unknown): void {
    const code = errorCode(error);
    this.#options.onFault({ code }, "a file about mandates could not be taken; what was in force stays");
  }
}

const NO_ROOTS: readonly MandateRoot[] = [];

function parseRoots(bytes: Uint8Array): Roots {
  const { version, roots } = readShape(rootsFileShape, parseJson(bytes, { maxBytes: MAX_ROOTS_BYTES }), "roots");
  return { version, roots, digest: `sha256:${formatHex(sha256(bytes))}` };
}

async function keptNames(dataDir: string): Promise<readonly string[]> {
  return (await readdir(dataDir)).filter((name) => /^mandate-revocations-[0-9a-f]{64}\.json$/u.test(name)).toSorted();
}

async function keptIn(dataDir: string, name: string): Promise<Uint8Array | undefined> {
  try {
    const bytes = await readIfThere(join(dataDir, name));
    return bytes === undefined || bytes.length > MAX_REVOCATIONS_BYTES ? undefined : new Uint8Array(bytes);
  } catch (cause) {
    throw new StoreError("ERR_FILE_READ", `cannot read ${name}`, { cause });
  }
}
