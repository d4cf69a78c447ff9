import { describe, expect, it } from "vitest";
import { formatBase64, parseBase64 } from "../../kernel/base64.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { readShape } from "../../kernel/shape.ts";
import {
  checkSignedBy,
  makeEnvelopeChecker,
  signaturesShape,
  signEnvelope,
  signEnvelopeBytes,
  signingInput,
} from "../../kernel/signature/envelope.ts";
import { ALGS } from "../../kernel/signature/public-key.ts";
import { createSigner, SECRET_BYTES } from "../../kernel/signature/signer.ts";
import { codeOf } from "../support/code-of.ts";

const secretOf = (alg: keyof typeof SECRET_BYTES, fill: number): Uint8Array =>
  new Uint8Array(SECRET_BYTES[alg]).fill(fill);
const body = { kind: "heartbeat", v: 1, seq: 7, note: "grüß" } as const;

/** The envelope as it comes back from storage. */
function reread(envelope: JsonObject): JsonObject {
  const value = parseJson(canonicalBytes(envelope));
  if (!isJsonObject(value)) throw new Error("not an object");
  return value;
}

describe("the bytes of an envelope that is signed", () => {
  const signers = [createSigner("ed25519", secretOf("ed25519", 1)), createSigner("ed25519", secretOf("ed25519", 2))];

  it.each([
    body,
    { kind: "a" },
    { ...body, prev: "x", signaturea: 1, signatures0: 2, time: undefined },
    { ...body, signatures: [] },
  ])("are its canonical form, wherever the signatures stand in it: %j", (each) => {
    const { envelope, bytes } = signEnvelopeBytes(each, signers);
    expect(envelope).toEqual(signEnvelope(each, signers));
    expect(bytes).toEqual(canonicalBytes(envelope));
    for (const { publicKey } of signers) {
      expect(codeOf(() => checkSignedBy(reread(envelope), publicKey))).toBe("accepted");
    }
  });
});

describe.each(ALGS)("an envelope signed with %s", (alg) => {
  const signer = createSigner(alg, secretOf(alg, 1));
  const other = createSigner(alg, secretOf(alg, 2));
  const signed = reread(signEnvelope(body, [signer]));
  const check = makeEnvelopeChecker(signer.publicKey);

  it("is accepted under its key, parsed or not", () => {
    expect(codeOf(() => check(signed))).toBe("accepted");
    expect(codeOf(() => checkSignedBy(signEnvelope(body, [signer]), signer.publicKey))).toBe("accepted");
  });

  it("is missing a signature under another key", () => {
    expect(codeOf(() => checkSignedBy(signed, other.publicKey))).toBe("ERR_SIGNATURE_MISSING");
  });

  it("is refused when any member of the body changes", () => {
    for (const change of [{ kind: "heartbeats" }, { v: 2 }, { seq: 8 }, { note: "gruß" }, { extra: null }]) {
      expect(codeOf(() => check({ ...signed, ...change }))).toBe("ERR_SIGNATURE_INVALID");
    }
    const { note: _, ...shorter } = signed;
    expect(codeOf(() => check(shorter))).toBe("ERR_SIGNATURE_INVALID");
  });

  it("is refused when a bit of the signature changes or its end is cut", () => {
    const [signature] = readShape(signaturesShape, signed["signatures"] ?? null, "signatures");
    if (signature === undefined) throw new Error("no signature");
    const bytes = parseBase64(signature.sig);
    const withSig = (sig: Uint8Array): JsonObject => ({
      ...signed,
      signatures: [{ ...signature, sig: formatBase64(sig) }],
    });
    expect(codeOf(() => check(withSig(bytes)))).toBe("accepted");
    const step = Math.ceil(bytes.length / 64);
    for (let at = 0; at < bytes.length; at += step) {
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      expect(codeOf(() => check(withSig(flipped)))).toBe("ERR_SIGNATURE_INVALID");
    }
    for (const length of [0, 1, bytes.length - 1]) {
      expect(codeOf(() => check(withSig(bytes.slice(0, length))))).toBe("ERR_SHAPE");
    }
    expect(codeOf(() => check(withSig(Uint8Array.of(...bytes, 0))))).toBe("ERR_SHAPE");
  });

  it("is refused when its signature names another algorithm", () => {
    const [signature] = readShape(signaturesShape, signed["signatures"] ?? null, "signatures");
    const wrong = { ...signature, alg: alg === "es256" ? "ed25519" : "es256" };
    // A composite signature has another length than the two others.
    const want = alg === "mldsa65-ed25519" ? "ERR_SHAPE" : "ERR_SIGNATURE_INVALID";
    expect(codeOf(() => check({ ...signed, signatures: [wrong] }))).toBe(want);
  });
});

describe("an envelope", () => {
  const ed = createSigner("ed25519", secretOf("ed25519", 1));
  const es = createSigner("es256", secretOf("es256", 1));
  const pq = createSigner("mldsa65-ed25519", secretOf("mldsa65-ed25519", 1));

  it("carries the signatures of several keys, each checked by itself", () => {
    const signed = reread(signEnvelope(body, [ed, es, pq]));
    for (const { publicKey } of [ed, es, pq]) expect(codeOf(() => checkSignedBy(signed, publicKey))).toBe("accepted");
  });

  it("is signed anew, not on top, when signed again", () => {
    const twice = signEnvelope(signEnvelope(body, [ed]), [es]);
    expect(twice.signatures.map(({ kid }) => kid)).toEqual([es.publicKey.kid]);
    expect(codeOf(() => checkSignedBy(twice, es.publicKey))).toBe("accepted");
  });

  it("is signed over kind, algorithm and the digest of its body", () => {
    const input = signingInput("heartbeat", "es256", { b: 1, a: 2, signatures: [] });
    expect(input.subarray(0, -32)).toEqual(formatUtf8("countersign/heartbeat/v1\nes256\n"));
    expect(input).toEqual(signingInput("heartbeat", "es256", { a: 2, b: 1 }));
  });

  it("is refused without kind or with a kind that could break out of the signing input", () => {
    const { signatures } = signEnvelope(body, [ed]);
    for (const kind of [undefined, 1, "", "Heartbeat", "a\n", "a/b", "-a", `a${"b".repeat(64)}`]) {
      const envelope: JsonObject = kind === undefined ? { signatures } : { kind, signatures };
      expect(codeOf(() => checkSignedBy(envelope, ed.publicKey))).toBe("ERR_SHAPE");
    }
    expect(codeOf(() => signingInput("a\n", "ed25519", {}))).toBe("ERR_BUG");
  });

  it("is refused with no, five, doubled or malformed signatures", () => {
    const { signatures } = signEnvelope(body, [ed]);
    const [signature] = signatures;
    const keys = [3, 4, 5, 6, 7].map((fill) => createSigner("ed25519", secretOf("ed25519", fill)));
    const five = keys.flatMap((key) => signEnvelope(body, [key]).signatures);
    const bad: readonly JsonObject[string][] = [
      undefined,
      null,
      [],
      {},
      five,
      [...signatures, ...signatures],
      [{ ...signature, more: 1 }],
      [{ ...signature, alg: "none" }],
      [{ ...signature, kid: "00" }],
      [{ ...signature, kid: ed.publicKey.kid.toUpperCase() }],
      [{ ...signature, sig: "AA" }],
      [{ ...signature, sig: "AB==" }],
    ];
    for (const list of bad) {
      expect(codeOf(() => checkSignedBy({ ...body, signatures: list }, ed.publicKey))).toBe("ERR_SHAPE");
    }
  });

  it("cannot be made without a signer, by five, or twice by one key", () => {
    expect(codeOf(() => signEnvelope(body, []))).toBe("ERR_BUG");
    expect(codeOf(() => signEnvelope(body, [ed, ed]))).toBe("ERR_BUG");
  });
});
