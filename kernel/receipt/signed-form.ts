/**
 * A receipt and the hash that its signatures are over, from one reading of its bytes: canonical bytes without the member
 * `signatures` are the canonical bytes of the body, so nothing is encoded again.
 */

import { sha256 } from "#crypto";
import { concat, parseUtf8 } from "../bytes.ts";
import { FormatError } from "../errors.ts";
import { takeShape } from "../shape.ts";
import { MAX_RECEIPT_BYTES, parseReceipt, receiptShape, type StreamReceipt } from "./receipt.ts";
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
  const text = bytes.length > MAX_RECEIPT_BYTES ? "" : parseUtf8(bytes);
  const receipt = takeShape(receiptShape, text) ?? parseReceipt(bytes);
  const [start, end] = findOnly(bytes, text) ?? scanPlace(bytes);
  return { receipt, bodyHash: sha256(concat(bytes.subarray(0, start), bytes.subarray(end))) };
}

const SIGNATURES = ',"signatures":[';

/**
 * Where the member `signatures` of a receipt stands, if the text has this key once: no string that a receipt may hold in
 * ASCII has a quote, and no signature has a bracket.
 */
function findOnly(bytes: Uint8Array, text: string): readonly [start: number, end: number] | undefined {
  if (text.length !== bytes.length || text.includes("\\")) return undefined;
  const start = text.indexOf(SIGNATURES);
  if (start === -1 || text.includes(SIGNATURES, start + 1)) return undefined;
  return [start, text.indexOf("]", start) + 1];
}

function scanPlace(bytes: Uint8Array): readonly [start: number, end: number] {
  const place = scanReceipt(decoder.decode(bytes));
  if (place !== undefined) return place.signatures;
  throw new FormatError("ERR_SHAPE", "receipt: want the members of a receipt at its top level");
}
