/** Streams: continuity, keys, and what is kept of them. */

import { describe, expect, it } from "vitest";
import { canonicalBytes, parseCanonical } from "../../kernel/json/canonical.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { parseReceipt, type ReceiptBody, type SignedReceipt, signReceipt } from "../../kernel/receipt/receipt.ts";
import { signEnvelope } from "../../kernel/signature/envelope.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { checkCertificate } from "../../kernel/stream/stream-keys.ts";
import {
  checkReceiptSignature,
  checkStreamOpen,
  nextStreamState,
  restoreStream,
  type StreamState,
  streamTip,
} from "../../kernel/stream/stream-state.ts";
import { codeOf } from "../support/code-of.ts";
import { ORIGIN, seedOf } from "../support/log-keys.ts";
import { gatewayKeys, hex64, makeStream, receiptBodies, receiptContents } from "../support/receipts.ts";

const made = makeStream({ calls: 3 });
const { keys } = made;
const heartbeat = receiptContents()["heartbeat"];

/** The state after the first `count` receipts. */
function stateAfter(count: number, receipts: readonly SignedReceipt[] = made.receipts): StreamState {
  let state: StreamState | undefined;
  for (const one of receipts.slice(0, count)) state = step(state, one);
  if (state === undefined) throw new Error("no receipts");
  return state;
}

function step(state: StreamState | undefined, { receipt, bytes }: SignedReceipt): StreamState {
  const next = nextStreamState(state, receipt, bytes);
  if (receipt.seq > 0) checkReceiptSignature(next.keys, receipt);
  return next;
}

function at(index: number, receipts: readonly SignedReceipt[] = made.receipts): SignedReceipt {
  const receipt = receipts.at(index);
  if (receipt === undefined) throw new Error(`no receipt ${index}`);
  return receipt;
}

/** A receipt with other members, signed again by the same key. */
function changed(one: SignedReceipt, members: object): SignedReceipt {
  const { signatures: _, ...body } = one.receipt;
  const signers = one.receipt.seq === 0 ? [keys.instance, keys.receipt] : [keys.receipt];
  return signReceipt({ ...body, ...members } as ReceiptBody, signers);
}

describe("a stream", () => {
  it("is taken receipt by receipt, in order, until it is closed", () => {
    const { receipts } = made;
    const state = stateAfter(receipts.length);
    expect(state).toMatchObject({ stream: made.stream, log: ORIGIN, nextSeq: receipts.length, closed: true });
    expect(state.last).toEqual(at(-1).hash);
    for (const algorithm of ["es256", "mldsa65-ed25519"] as const) {
      const other = makeStream({ keys: gatewayKeys(70, algorithm), calls: 0 });
      expect(stateAfter(6, other.receipts).closed).toBe(true);
    }
  });

  it("names a gap for every receipt that is left out, and for every pair that is swapped", () => {
    for (let left = 0; left < made.receipts.length - 1; left += 1) {
      const state = left === 0 ? undefined : stateAfter(left);
      for (const later of made.receipts.slice(left + 1))
        expect(codeOf(() => step(state, later))).toBe("ERR_STREAM_GAP");
    }
  });

  it("names a fork for every receipt that comes again, the same or another", () => {
    for (let count = 1; count <= made.receipts.length; count += 1) {
      const state = stateAfter(count);
      for (const earlier of made.receipts.slice(0, count)) {
        expect(codeOf(() => step(state, earlier))).toBe("ERR_STREAM_FORK");
      }
    }
  });

  it("is broken by every other `prev`", () => {
    const state = stateAfter(4);
    const others = [hex64(0), hex64(0xff), ...made.receipts.map(({ hash }) => Buffer.from(hash).toString("hex"))];
    for (const prev of others) {
      const want = prev === Buffer.from(at(3).hash).toString("hex") ? "accepted" : "ERR_STREAM_PREV";
      expect(codeOf(() => step(state, changed(at(4), { prev })))).toBe(want);
    }
    // Another signing of the same body is another receipt hash: what follows must name the bytes that came before.
    const again = makeStream({ keys: gatewayKeys(80, "es256"), calls: 1 });
    const { signatures: _, ...body } = at(3, again.receipts).receipt;
    const resigned = signReceipt(body as ReceiptBody, [again.keys.receipt]);
    expect(codeOf(() => step(step(stateAfter(3, again.receipts), resigned), at(4, again.receipts)))).toBe(
      "ERR_STREAM_PREV",
    );
  });

  it("takes nothing after its close, whatever number it has", () => {
    const closed = stateAfter(made.receipts.length);
    const after = made.next(heartbeat);
    expect(codeOf(() => step(closed, after))).toBe("ERR_STREAM_CLOSED");
    expect(codeOf(() => step(closed, changed(after, { seq: after.receipt.seq + 5 })))).toBe("ERR_STREAM_CLOSED");
    expect(codeOf(() => step(closed, at(-1)))).toBe("ERR_STREAM_FORK");
  });

  it("takes no receipt of another stream, even under its own key", () => {
    const other = makeStream({ keys: gatewayKeys(90) });
    expect(codeOf(() => step(stateAfter(4), at(4, other.receipts)))).toBe("ERR_STREAM_KEY");
    expect(codeOf(() => step(stateAfter(4), changed(at(4), { stream: other.stream })))).toBe("ERR_STREAM_KEY");
  });
});

describe("the keys of a stream", () => {
  const other = gatewayKeys(90);
  const { signatures: _, ...heartbeatBody } = makeStream({ count: 2 }).next(heartbeat).receipt;
  const later = heartbeatBody as ReceiptBody;
  const open = receiptBodies()["stream-open"];

  it("do not change: only the certified receipt key signs, alone", () => {
    const state = stateAfter(2);
    const signedBy = (...signers: Parameters<typeof signReceipt>[1]): string =>
      codeOf(() => step(state, signReceipt(later, signers)));
    expect(signedBy(keys.receipt)).toBe("accepted");
    expect(signedBy(other.receipt)).toBe("ERR_STREAM_KEY");
    expect(signedBy(keys.instance)).toBe("ERR_STREAM_KEY");
    expect(signedBy(keys.receipt, keys.instance)).toBe("ERR_STREAM_KEY");
    expect(signedBy(keys.receipt, other.receipt)).toBe("ERR_STREAM_KEY");
  });

  it("are proven by each receipt's own signature", () => {
    const { receipt } = made.next(heartbeat);
    const streamKeys = stateAfter(1).keys;
    expect(codeOf(() => checkReceiptSignature(streamKeys, receipt))).toBe("accepted");
    const { receipt: foreign } = makeStream({ keys: other, count: 2 }).next(heartbeat);
    expect(codeOf(() => checkReceiptSignature(streamKeys, foreign))).toBe("ERR_SIGNATURE_MISSING");
    const moved = { ...receipt, signatures: at(1).receipt.signatures };
    expect(codeOf(() => checkReceiptSignature(streamKeys, moved))).toBe("ERR_SIGNATURE_INVALID");
  });

  it("open the stream together: exactly the two that the receipt names have signed it", () => {
    const openedBy = (body: ReceiptBody, ...signers: Parameters<typeof signReceipt>[1]): string => {
      const { receipt, bytes } = signReceipt(body, signers);
      return codeOf(() => nextStreamState(undefined, receipt, bytes));
    };
    expect(openedBy(open, keys.instance, keys.receipt)).toBe("accepted");
    expect(openedBy(open, keys.receipt, keys.instance)).toBe("accepted");
    expect(openedBy(open, keys.instance)).toBe("ERR_STREAM_KEY");
    expect(openedBy(open, keys.receipt)).toBe("ERR_STREAM_KEY");
    expect(openedBy(open, other.instance, keys.receipt)).toBe("ERR_STREAM_KEY");
    expect(openedBy(open, keys.instance, keys.receipt, other.receipt)).toBe("ERR_STREAM_KEY");
    const named = { ...open, receipt_key: formatPublicKey(other.receipt.publicKey) };
    expect(openedBy(named, keys.instance, keys.receipt)).toBe("ERR_STREAM_KEY");
    expect(openedBy(named, keys.instance, other.receipt)).toBe("accepted");
  });

  it("name the stream: its id is the instance key's", () => {
    const body = { ...open, stream: other.instance.publicKey.kid };
    const { receipt } = signReceipt(body, [keys.instance, keys.receipt]);
    if (receipt.kind !== "stream-open") throw new Error("not an opening");
    expect(codeOf(() => checkStreamOpen(receipt))).toBe("ERR_STREAM_KEY");
  });

  it("are two, and a composite's Ed25519 key is used nowhere else", () => {
    const certify = (instance: typeof keys.instance, receipt: typeof keys.receipt): string => {
      const named = {
        ...open,
        instance_key: formatPublicKey(instance.publicKey),
        receipt_key: formatPublicKey(receipt.publicKey),
      };
      const signers = instance === receipt ? [instance] : [instance, receipt];
      return codeOf(() => checkCertificate(signEnvelope(named, signers)));
    };
    expect(certify(keys.instance, keys.instance)).toBe("ERR_STREAM_KEY");
    const composite = createSigner("mldsa65-ed25519", new Uint8Array([...seedOf(1), ...seedOf(2)]));
    const inside = createSigner("ed25519", seedOf(2));
    const twin = createSigner("mldsa65-ed25519", new Uint8Array([...seedOf(3), ...seedOf(2)]));
    const apart = createSigner("mldsa65-ed25519", new Uint8Array([...seedOf(1), ...seedOf(4)]));
    for (const shared of [inside, twin]) {
      expect(certify(composite, shared)).toBe("ERR_STREAM_KEY");
      expect(certify(shared, composite)).toBe("ERR_STREAM_KEY");
    }
    expect(certify(composite, apart)).toBe("accepted");
    expect(certify(composite, createSigner("ed25519", seedOf(1)))).toBe("accepted");
  });

  it("are not taken from bytes in which either signature is damaged", () => {
    const { bytes } = at(0);
    const value = parseCanonical(bytes) as JsonObject & { readonly signatures: readonly { readonly sig: string }[] };
    for (const [i, signature] of value.signatures.entries()) {
      const sig = (signature.sig.startsWith("A") ? "B" : "A") + signature.sig.slice(1);
      const damaged = canonicalBytes({ ...value, signatures: value.signatures.with(i, { ...signature, sig }) });
      expect(codeOf(() => nextStreamState(undefined, parseReceipt(damaged), damaged))).toBe("ERR_SIGNATURE_INVALID");
    }
  });

  it("start at receipt 0 and nowhere else", () => {
    expect(codeOf(() => nextStreamState(undefined, at(1).receipt, at(1).bytes))).toBe("ERR_STREAM_GAP");
    expect(codeOf(() => step(stateAfter(3), at(0)))).toBe("ERR_STREAM_FORK");
  });
});

describe("the tip of a stream", () => {
  it("restores a state that goes on as the one it was taken from", () => {
    for (let count = 1; count < made.receipts.length; count += 1) {
      const tip = streamTip(stateAfter(count));
      // As it is kept between processes: JSON.
      const restored = restoreStream(JSON.parse(JSON.stringify(tip)));
      expect(restored).toEqual(stateAfter(count));
      expect(streamTip(step(restored, at(count)))).toEqual(streamTip(stateAfter(count + 1)));
    }
    const closed = restoreStream(streamTip(stateAfter(made.receipts.length)));
    expect(codeOf(() => step(closed, made.next(heartbeat)))).toBe("ERR_STREAM_CLOSED");
  });
});
