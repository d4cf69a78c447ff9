/** A receipt that one thread drafts and another seals has the bytes of one that is signed at once, and is refused for the same. */

import { describe, expect, it } from "vitest";
import { concat } from "../../kernel/bytes.ts";
import { parseCanonical } from "../../kernel/json/canonical.ts";
import { hex64Shape } from "../../kernel/receipt/fields.ts";
import {
  draftReceipt,
  MAX_RECEIPT_BYTES,
  parseReceipt,
  type ReceiptBody,
  receiptHash,
  sealReceipt,
  type UnlinkedBody,
} from "../../kernel/receipt/receipt.ts";
import { literal, object, optional, type Shape, string } from "../../kernel/shape.ts";
import { marked } from "../../kernel/shape-spans.ts";
import { draftEnvelope, sealDraft } from "../../kernel/signature/draft.ts";
import { checkSignedBy, type Signature, signaturesShape, signEnvelopeBytes } from "../../kernel/signature/envelope.ts";
import { createSigner, type EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { codeOf } from "../support/code-of.ts";
import { fullReceiptBodies } from "../support/full-receipts.ts";
import { seedOf } from "../support/log-keys.ts";
import { digestOf, gatewayKeys, receiptBodies } from "../support/receipts.ts";

const keys = gatewayKeys();
const bodies: readonly ReceiptBody[] = [...Object.values(receiptBodies()), ...fullReceiptBodies()];
const HASH = "5a".repeat(32);

function signersOf({ kind }: Pick<ReceiptBody, "kind">): readonly EnvelopeSigner[] {
  return kind === "stream-open" ? [keys.instance, keys.receipt] : [keys.receipt];
}

function draftOf(body: ReceiptBody, signers = signersOf(body)): ReturnType<typeof draftReceipt> {
  const { prev: _, ...unlinked } = body;
  return draftReceipt(
    unlinked as UnlinkedBody,
    signers.map(({ publicKey }) => publicKey),
  );
}

type Note = {
  readonly kind: "note";
  readonly a: string;
  readonly prev?: string;
  readonly q: string;
  readonly signatures: readonly Signature[];
  readonly z: string;
};

describe("a draft", () => {
  it("is sealed to the bytes of an envelope that is written at once, of every kind", () => {
    for (const body of bodies) {
      const { bytes, hash, signatures } = sealReceipt(draftOf(body), body.prev, signersOf(body));
      expect(bytes).toEqual(signEnvelopeBytes(body, signersOf(body)).bytes);
      expect(hash).toEqual(receiptHash(bytes));
      expect(draftOf(body).length).toBe(bytes.length);
      expect(parseReceipt(bytes)).toEqual({ ...body, signatures });
    }
  });

  it("is told to a thread as it is", () => {
    const draft = draftOf(receiptBodies().decision);
    expect(structuredClone(draft)).toEqual(draft);
  });

  it("takes text that is not ASCII on either side of what is put in", () => {
    const note: Shape<unknown> = object<Note>({
      kind: literal("note"),
      a: string(),
      prev: optional(marked(hex64Shape)),
      q: string(),
      signatures: signaturesShape,
      z: string(),
    });
    const signers = [keys.receipt];
    const publicKeys = [keys.receipt.publicKey];
    for (const [a, q, z] of [
      ["ä", "b", "c"],
      ["a", "✓", "c"],
      ["a", "b", "𝕏"],
      ["ä\n", "✓", '"𝕏"'],
    ] as const) {
      const body = { kind: "note", a, q, z };
      for (const link of [undefined, HASH]) {
        const { draft } = draftEnvelope(note, body, link !== undefined, publicKeys, "note");
        const whole = link === undefined ? body : { ...body, prev: link };
        expect(sealDraft(draft, link, signers).bytes).toEqual(signEnvelopeBytes(whole, signers).bytes);
      }
    }
  });

  it("is signed by keys of every algorithm", () => {
    const body = receiptBodies().heartbeat;
    for (const alg of ["ed25519", "es256", "mldsa65-ed25519"] as const) {
      const signer = createSigner(alg, alg === "mldsa65-ed25519" ? concat(seedOf(3), seedOf(4)) : seedOf(3));
      const { bytes } = sealReceipt(draftOf(body, [signer]), body.prev, [signer]);
      checkSignedBy(parseObject(bytes), signer.publicKey);
    }
  });

  it("has a link exactly where a receipt has one", () => {
    const [first, later] = [receiptBodies()["stream-open"], receiptBodies().heartbeat];
    const sealed = (body: ReceiptBody, prev: string | undefined): string =>
      codeOf(() => sealReceipt(draftOf(body), prev, signersOf(body)));
    expect(sealed(first, HASH)).toBe("ERR_SHAPE");
    expect(sealed(later, undefined)).toBe("ERR_SHAPE");
    for (const prev of ["", "0", HASH.toUpperCase(), `${HASH}0`, `${HASH}\n`, `${HASH.slice(1)}"`]) {
      expect(sealed(later, prev)).toBe("ERR_SHAPE");
    }
    expect(codeOf(() => draftOf({ ...later, seq: 0 }))).toBe("ERR_SHAPE");
    expect(codeOf(() => draftOf({ ...first, seq: 1 }))).toBe("ERR_SHAPE");
  });

  it("is refused when the receipt would be longer than an entry, by the same byte as a signed one", () => {
    const long = [7, 9].map((i) => createSigner("mldsa65-ed25519", concat(seedOf(i), seedOf(i + 1))));
    const signers = [...long, keys.receipt];
    const sized = (extra: number): ReceiptBody => ({
      ...receiptBodies()["policy-load"],
      files: Array.from({ length: 256 }, (_, i) => ({
        path: `${String(i).padStart(3, "0")}${"x".repeat(Math.min(125, Math.max(0, extra - i * 125)))}`,
        digest: digestOf(1),
      })),
    });
    const most = MAX_RECEIPT_BYTES - signEnvelopeBytes(sized(0), signers).bytes.length;
    expect(most).toBeGreaterThan(0);
    expect(signEnvelopeBytes(sized(most), signers).bytes.length).toBe(MAX_RECEIPT_BYTES);
    expect(codeOf(() => draftOf(sized(most), signers))).toBe("accepted");
    expect(codeOf(() => draftOf(sized(most + 1), signers))).toBe("ERR_ENTRY_LENGTH");
  });

  it("is not made of what no reader takes", () => {
    const body = receiptBodies().heartbeat;
    for (const bad of [{ seq: -1 }, { more: 1 }, { v: 2 }, { time: "now" }, { kind: "other" }, { open_calls: -1 }]) {
      expect(codeOf(() => draftOf({ ...body, ...bad } as ReceiptBody))).not.toBe("accepted");
    }
  });
});

function parseObject(bytes: Uint8Array): Parameters<typeof checkSignedBy>[0] {
  return parseCanonical(bytes) as Parameters<typeof checkSignedBy>[0];
}
