/**
 * The checkpoint keys that a ledger holds: those that sign now, and spare ones that a rotation takes. During an overlap
 * every checkpoint bears the lines of both pairs, the older one first.
 */

import { FormatError, StoreError } from "../../kernel/errors.ts";
import { isSameKey } from "../../kernel/lifecycle/statement.ts";
import type { SignerKey } from "../../kernel/note/signer-key.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import { createSigner, type EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { type CheckpointSigner, makeInlineSigner, makeWorkerSigner } from "../checkpoint/signing.ts";

/** A pair at work. */
interface Pair {
  readonly ed25519: SignerKey;
  readonly signer: CheckpointSigner;
}

/** Keys of one log; all of them have its name. */
export class KeyRing implements CheckpointSigner {
  readonly #secrets: readonly SignerKey[];
  readonly #isInline: boolean;
  #active: readonly Pair[] = [];
  readonly #pairs: Pair[] = [];

  /**
   * @param secrets  at least one key of type 0x01 and one of type 0x06 with the origin as name; others are refused
   * @throws {FormatError} ERR_CONFIG
   */
  constructor(origin: string, secrets: readonly SignerKey[], isInline: boolean) {
    this.#secrets = secrets;
    this.#isInline = isInline;
    for (const type of [0x01, 0x06]) {
      if (secrets.some((key) => key.type === type && key.name === origin)) continue;
      throw new FormatError("ERR_CONFIG", `log_key_files: want a key of type ${type} with the name ${origin}`);
    }
    if (secrets.some((key) => key.name !== origin || key.type === 0x04)) {
      throw new FormatError("ERR_CONFIG", `log_key_files: want keys of types 1 and 6 with the name ${origin}`);
    }
  }

  /** Every key that is held. */
  get keys(): readonly VerifierKey[] {
    return this.#secrets.map(({ verifierKey }) => verifierKey);
  }

  /** The first key of each type: those of a new log. */
  get first(): readonly VerifierKey[] {
    return pairOf(this.#secrets).map(({ verifierKey }) => verifierKey);
  }

  /** Ed25519 key of the oldest pair at work: whoever knows the log at all knows it. Signs promises. */
  get promiseSigner(): EnvelopeSigner {
    const [oldest] = this.#active;
    const [first] = pairOf(this.#secrets);
    return createSigner("ed25519", (oldest?.ed25519 ?? first).seed);
  }

  /**
   * Signs with these keys from now on; pairs of Ed25519 and ML-DSA-44.
   *
   * @throws {StoreError} ERR_GENESIS_MISMATCH, fatal: a key that signs the log's checkpoints is not configured
   */
  use(keys: readonly VerifierKey[]): void {
    const secrets = this.secretsOf(keys);
    const active: Pair[] = [];
    for (let at = 0; at < secrets.length; at += 2) active.push(this.#pairOf(secrets.slice(at, at + 2)));
    this.#active = active;
  }

  /** Secrets of these keys. @throws {StoreError} ERR_GENESIS_MISMATCH, fatal */
  secretsOf(keys: readonly VerifierKey[]): readonly SignerKey[] {
    return keys.map((key) => {
      const secret = this.#secrets.find(({ verifierKey }) => isSameKey(verifierKey, key));
      if (secret !== undefined) return secret;
      const what = `keys of the log on disk: ${key.name} signs with a key of type ${key.type} that is not configured`;
      throw new StoreError("ERR_GENESIS_MISMATCH", what, { fatal: true });
    });
  }

  /** The pair that none of `used` is of: what a rotation takes. @throws {FormatError} ERR_CONFIG */
  spare(used: readonly VerifierKey[]): readonly SignerKey[] {
    const spare = this.#secrets.filter(({ verifierKey }) => !used.some((key) => isSameKey(key, verifierKey)));
    if (spare.length === 2 && spare.some(({ type }) => type === 0x01) && spare.some(({ type }) => type === 0x06)) {
      return pairOf(spare);
    }
    const what = "log_key_files: want one new key of type 1 and one of type 6 beside those that the log has had";
    throw new FormatError("ERR_CONFIG", what);
  }

  readonly sign = async (text: string, timestampSeconds: bigint): Promise<readonly string[]> => {
    const lines = await Promise.all(this.#active.map(({ signer }) => signer.sign(text, timestampSeconds)));
    return lines.flat();
  };

  readonly close = async (): Promise<void> => {
    await Promise.all(this.#pairs.map(({ signer }) => signer.close()));
  };

  #pairOf(secrets: readonly SignerKey[]): Pair {
    const [ed25519, mlDsa44] = pairOf(secrets);
    const known = this.#pairs.find((pair) => pair.ed25519 === ed25519);
    if (known !== undefined) return known;
    const seeds = { origin: ed25519.name, ed25519: ed25519.seed, mlDsa44: mlDsa44.seed };
    const pair = { ed25519, signer: this.#isInline ? makeInlineSigner(seeds) : makeWorkerSigner(seeds) };
    this.#pairs.push(pair);
    return pair;
  }
}

/** The first key of each type. @throws {FormatError} ERR_CONFIG */
function pairOf(secrets: readonly SignerKey[]): readonly [SignerKey, SignerKey] {
  const [ed25519, mlDsa44] = [0x01, 0x06].map((type) => secrets.find((key) => key.type === type));
  if (ed25519 !== undefined && mlDsa44 !== undefined) return [ed25519, mlDsa44];
  throw new FormatError("ERR_CONFIG", "log_key_files: want keys of types 1 and 6");
}
