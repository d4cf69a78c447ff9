/** JSON-RPC batches, which revision 2025-03-26 alone has: an array of messages, each of which is one document of its own. */

import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { type ScanFault, scanJson } from "./scan.ts";
import { itemSpans } from "./spans.ts";

/** The revision that has them. */
export const BATCH_REVISION = "2025-03-26";

/** Messages of one batch. */
const MAX_MESSAGES = 64;
const SPACE: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);
const BRACKET = 0x5b;

/** True if a document begins as an array. */
export function isBatch(bytes: Uint8Array): boolean {
  return bytes[bytes.findIndex((byte) => !SPACE.has(byte))] === BRACKET;
}

/** The messages of a batch that passed the strict scan as a whole; each is scanned again as what it is. */
export function splitBatch(bytes: Uint8Array, maxBytes: number): readonly Uint8Array[] | ScanFault {
  const scanned = scanJson(bytes, "ingress", maxBytes);
  // An array has every fault that a document can have, and this one.
  if (scanned.type !== "fault" || scanned.reason !== "json.shape") return { type: "fault", reason: faultOf(scanned) };
  const text = parseUtf8(bytes);
  const items = itemSpans(text, text.indexOf("["));
  if (items.length === 0) return { type: "fault", reason: "rpc.shape" };
  if (items.length > MAX_MESSAGES) return { type: "fault", reason: "json.members" };
  return items.map(({ start, end }) => formatUtf8(text.slice(start, end)));
}

function faultOf(scanned: ReturnType<typeof scanJson>): ScanFault["reason"] {
  return scanned.type === "fault" ? scanned.reason : "json.shape";
}

/** The answers to a batch, in order; undefined if nothing in it is answered. */
export function joinAnswers(answers: readonly Uint8Array[]): Uint8Array | undefined {
  if (answers.length === 0) return undefined;
  return formatUtf8(`[${answers.map((answer) => parseUtf8(answer)).join(",")}]`);
}
