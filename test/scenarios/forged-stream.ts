/** What whoever has the software keys of a gateway can write: its whole stream, changed and signed anew. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { formatHex } from "../../kernel/hex.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { parseReceipt, type ReceiptBody, signReceipt } from "../../kernel/receipt/receipt.ts";
import { parseSecretKey } from "../../kernel/signature/secret-key.ts";
import { createSigner, type EnvelopeSigner } from "../../kernel/signature/signer.ts";

/** The two keys of a stream, stolen from its folder. */
export interface StolenKeys {
  readonly instance: EnvelopeSigner;
  readonly receipt: EnvelopeSigner;
}

/** @param folder  the gateway's data folder */
export function stealKeys(folder: string, stream: string): StolenKeys {
  const read = (name: string): EnvelopeSigner => {
    const { alg, secret } = parseSecretKey(new Uint8Array(readFileSync(join(folder, "streams", stream, name))));
    return createSigner(alg, secret);
  };
  return { instance: read("instance.key"), receipt: read("receipt.key") };
}

/**
 * Signs a stream again: each body as `change` makes it, linked to the one before, outcomes to their forged decisions.
 *
 * @param receipts  the honest ones, from the first on
 * @param added  bodies behind the last; stream, number and link are filled in
 */
export function forgeStream(
  keys: StolenKeys,
  receipts: readonly Uint8Array[],
  change: (body: JsonObject) => JsonObject,
  added: readonly JsonObject[] = [],
): readonly Uint8Array[] {
  const made: { readonly bytes: Uint8Array; readonly hash: string }[] = [];
  for (const body of [...receipts.map(bodyOf), ...added]) {
    const prev = made.at(-1)?.hash;
    const linked = {
      ...change(body),
      seq: made.length,
      ...(prev === undefined ? {} : { prev }),
      ...tiesOf(body, made),
    };
    const signers = made.length === 0 ? [keys.instance, keys.receipt] : [keys.receipt];
    // Whatever it says: the signer of the kernel refuses what no verifier would read.
    const { bytes, hash } = signReceipt(linked as unknown as ReceiptBody, signers);
    made.push({ bytes, hash: formatHex(hash) });
  }
  return made.map(({ bytes }) => bytes);
}

/** The body of a receipt: what it says, without its signatures. */
export function bodyOf(bytes: Uint8Array): JsonObject {
  parseReceipt(bytes);
  const { signatures: _, ...body } = parseJson(bytes) as JsonObject;
  return body;
}

function tiesOf(body: JsonObject, made: readonly { readonly hash: string }[]): JsonObject {
  const call = body["call"] as JsonObject | undefined;
  const seq = call?.["decision_seq"];
  return typeof seq === "number" ? { call: { ...call, decision_hash: made[seq]?.hash ?? "" } } : {};
}
