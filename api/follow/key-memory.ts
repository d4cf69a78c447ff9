/** Keys of streams, read once: whether a point is a fit Ed25519 key takes milliseconds to find out. Bounded. */

import type { PublicKeyJson } from "../../kernel/signature/public-key.ts";
import { readStreamKeys, type StreamKeys } from "../../kernel/stream/stream-keys.ts";

/** Two keys as an object names them. */
export interface NamedKeys {
  readonly instance_key: PublicKeyJson;
  readonly receipt_key: PublicKeyJson;
}

const MAX_STREAMS = 1024;

/** Remembers keys; the oldest are forgotten first. */
export class KeyMemory {
  readonly #known = new Map<string, StreamKeys>();

  /** The keys that an object names. @throws {CheckError} ERR_KEY_INVALID, ERR_KEY_WEAK */
  read({ instance_key, receipt_key }: NamedKeys): StreamKeys {
    const name = [instance_key.alg, instance_key.key, receipt_key.alg, receipt_key.key].join(" ");
    const found = this.#known.get(name);
    if (found !== undefined) return found;
    const keys = readStreamKeys({ instance_key, receipt_key });
    const [oldest] = this.#known.keys();
    if (this.#known.size >= MAX_STREAMS && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(name, keys);
    return keys;
  }
}
