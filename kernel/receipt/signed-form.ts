/**
 * A receipt and the hash that its signatures are over, from one reading of its bytes: canonical bytes without the member
 * `signatures` are the canonical bytes of the body, so nothing is encoded again.
 */

import { sha256 } from "#crypto";
import { concat } from "../bytes.ts";
import { FormatError } from "../errors.ts";
import { parseReceipt, type StreamReceipt } from "./receipt.ts";
import { scanReceipt } from "./scan.ts";

// The kernel is compiled without the types of any platform; Node and browsers have this one.
declare const TextDecoder: new (label: string) => { decode(bytes: Uint8Array): string };

/** One character for each byte. */
const decoder = new TextDecoder("latin1");

/** A receipt and what is signed of it; no signature is verified. */
export interface SignedForm {
  readonly receipt: StreamReceipt;
  /** SHA-256(JCS(body)), 32 bytes. */
  readonly bodyHash: Uint8Array;
}

/**
 * Reads a receipt.
 *
 * @throws {FormatError | CheckError} as `parseReceipt`
 */
export function readSignedReceipt(bytes: Uint8Array): SignedForm {
  const receipt = parseReceipt(bytes);
  const place = scanReceipt(decoder.decode(bytes));
  if (place === undefined)
    throw new FormatError("ERR_SHAPE", "receipt: want the members of a receipt at its top level");
  const [start, end] = place.signatures;
  return { receipt, bodyHash: sha256(concat(bytes.subarray(0, start), bytes.subarray(end))) };
}
