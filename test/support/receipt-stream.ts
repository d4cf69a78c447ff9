/** Receipts of one stream from fixed seeds: registration, open receipt, heartbeats, segments. */

import { parseHex } from "../../kernel/hex.ts";
import { signReceipt } from "../../kernel/receipt/receipt.ts";
import { signRegistration } from "../../kernel/registration.ts";
import { formatSegment, makeSegment } from "../../kernel/segment.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { createSigner, type EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { formatTimestamp } from "../../kernel/time.ts";

const TIME = formatTimestamp(1_700_000_000_000);
const HEADER = { v: 1, time: TIME, attestation: { state: "not_available", reason: "attestation.software" } } as const;

/** A gateway as the ledger sees it. */
export interface ReceiptStream {
  readonly stream: string;
  readonly instance: EnvelopeSigner;
  readonly receipt: EnvelopeSigner;
  readonly registration: Uint8Array;
  /** The next `count` receipts; the first one of all opens the stream. */
  readonly next: (count: number) => readonly Uint8Array[];
  /** The next `count` receipts as the wire form of a segment. */
  readonly nextSegment: (count: number) => Uint8Array;
}

/**
 * @param n  two of these with the same number are the same stream
 * @param openCalls  what its heartbeats say: with another number, a fork of the stream
 */
export function makeReceiptStream(origin: string, n = 1, openCalls = 0): ReceiptStream {
  const instance = createSigner("ed25519", new Uint8Array(32).fill(100 + n));
  const receipt = createSigner("ed25519", new Uint8Array(32).fill(150 + n));
  const stream = instance.publicKey.kid;
  let [seq, prev]: [number, string | undefined] = [0, undefined];
  const keys = { instance_key: formatPublicKey(instance.publicKey), receipt_key: formatPublicKey(receipt.publicKey) };
  const open = {
    kind: "stream-open",
    log: origin,
    ...keys,
    key_protection: "software",
    heartbeat_seconds: 60,
    session_ttl_seconds: 3600,
    durability: "durable",
    boundary: `sha256:${"00".repeat(32)}`,
    software: { name: "gateway", version: "1.0.0" },
  } as const;
  const make = (): Uint8Array => {
    const body = { kind: "heartbeat", open_sessions: 0, open_calls: openCalls } as const;
    const signed =
      prev === undefined
        ? signReceipt({ ...HEADER, stream, seq, ...open }, [instance, receipt])
        : signReceipt({ ...HEADER, stream, seq, prev, ...body }, [receipt]);
    [seq, prev] = [seq + 1, Buffer.from(signed.hash).toString("hex")];
    return signed.bytes;
  };
  const next = (count: number): readonly Uint8Array[] => Array.from({ length: count }, make);
  return {
    stream,
    instance,
    receipt,
    registration: signRegistration(
      { kind: "registration", v: 1, origin, evidence: { type: "software" }, time: TIME },
      instance,
      receipt,
    ),
    next,
    nextSegment: (count) => {
      const [firstSeq, before] = [seq, prev];
      const receipts = next(count);
      const place = before === undefined ? {} : { prev: parseHex(before, 32) };
      return formatSegment(makeSegment({ origin, stream, firstSeq, receipts, ...place }, receipt), receipts);
    },
  };
}
