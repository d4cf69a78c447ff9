/**
 * A receipt and the hash that its signatures are over, from one reading of its bytes: canonical bytes without the member
 * `signatures` are the canonical bytes of the body, so nothing is encoded again.
 */

import { parseUtf8 } from "../bytes.ts";
import { FormatError } from "../errors.ts";
import { takeWithSpans } from "../shape.ts";
import { hashWithout } from "../signature/body-hash.ts";
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
  const taken = takeWithSpans(receiptShape, text, bytes);
  const receipt = taken?.value ?? parseReceipt(bytes);
  const [start, end] = memberAt(text, taken?.spans ?? []) ?? scanPlace(bytes);
  return { receipt, bodyHash: hashWithout(bytes, start, end) };
}

const KEY = ',"signatures":';

/** The member `signatures` of a receipt that was taken from its text, which is ASCII then: a place in it is one in the bytes. */
function memberAt(
  text: string,
  [span, ...others]: readonly (readonly [start: number, end: number])[],
): readonly [start: number, end: number] | undefined {
  if (span === undefined || others.length > 0) return undefined;
  const start = span[0] - KEY.length;
  return text.startsWith(KEY, start) ? [start, span[1]] : undefined;
}

function scanPlace(bytes: Uint8Array): readonly [start: number, end: number] {
  const place = scanReceipt(decoder.decode(bytes));
  if (place !== undefined) return place.signatures;
  throw new FormatError("ERR_SHAPE", "receipt: want the members of a receipt at its top level");
}
