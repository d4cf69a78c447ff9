/** Streams with receipts that are false where a test wants it: linked, numbered and segmented as if they were right. */

import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import { receiptHash, signReceipt } from "../../kernel/receipt/receipt.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { LEDGER_ORIGIN } from "./ledger-service.ts";
import type { SegmentSource } from "./ledger-submitter.ts";
import { type GatewayKeys, hex64, receiptContents, STREAM_START_MS } from "./receipts.ts";

/** A false receipt in place of a right one; what follows is linked to the false one. */
export type Damage = "signature" | "shape" | "spelling" | "prev" | "syntax";

/** Heartbeats behind an open receipt; `damages` says which seq is false, and how. */
export function damagedStream(
  keys: GatewayKeys,
  count: number,
  damages: Readonly<Record<number, Damage>> = {},
): SegmentSource {
  const contents = receiptContents(keys, LEDGER_ORIGIN);
  const stream = keys.instance.publicKey.kid;
  const receipts: { bytes: Uint8Array; hash: Uint8Array }[] = [];
  for (let seq = 0; seq < count; seq += 1) {
    const before = receipts.at(-1);
    const place = {
      v: 1,
      stream,
      seq,
      time: formatTimestamp(STREAM_START_MS + seq * 1000),
      attestation: { state: "not_available", reason: "attestation.software" },
    } as const;
    const damage = damages[seq];
    const prev = damage === "prev" ? hex64(0xee) : formatHex(before?.hash ?? new Uint8Array(0));
    const { bytes } =
      before === undefined
        ? signReceipt({ ...place, ...contents["stream-open"] }, [keys.instance, keys.receipt])
        : signReceipt({ ...place, prev, ...contents.heartbeat }, [keys.receipt]);
    const made = damage === undefined ? bytes : change(bytes, damage);
    receipts.push({ bytes: made, hash: receiptHash(made) });
  }
  return { keys, stream, receipts };
}

function change(bytes: Uint8Array, damage: Damage): Uint8Array {
  const text = parseUtf8(bytes);
  switch (damage) {
    case "signature":
      return formatUtf8(text.replace(/"sig":"(.)/, (_, first: string) => `"sig":"${first === "A" ? "B" : "A"}`));
    case "shape":
      return formatUtf8(text.replace('"open_sessions":1', '"open_sessions":-1'));
    case "spelling":
      return formatUtf8(text.replace('"attestation":{', '"attestation":{ '));
    case "syntax":
      return formatUtf8(text.replace('"state":"not_available"', '"state":not_available'));
    case "prev":
      return bytes;
  }
}
