/** The place that an entry of the log claims, if it is a receipt. */

import { type ReceiptPlace, scanReceipt } from "../../kernel/receipt/scan.ts";

/** As `scanReceipt`, of bytes. */
export function scanEntry(entry: Uint8Array): ReceiptPlace | undefined {
  return scanReceipt(byteText(entry));
}

/** One character for each byte. */
export function byteText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
