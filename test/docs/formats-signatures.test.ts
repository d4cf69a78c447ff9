import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { commitBytes, commitJson, hashCommittedLeaf, jsonLeaves } from "../../kernel/commitment.ts";
import { sha256 } from "../../kernel/crypto/node.ts";
import { formatHex } from "../../kernel/hex.ts";
import { formatCanonical, parseCanonical } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { checkOpening, checkPayload, openField, openingShape } from "../../kernel/opening.ts";
import { readShape } from "../../kernel/shape.ts";
import { checkSignedBy, signEnvelope, signingInput } from "../../kernel/signature/envelope.ts";
import { ALGS, formatPublicKey, publicKeyShape } from "../../kernel/signature/public-key.ts";
import { createSigner, SECRET_BYTES } from "../../kernel/signature/signer.ts";
import { codeOf } from "../support/code-of.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";

const secretOf = (length: number): Uint8Array => new Uint8Array(length).map((_, i) => i);
const objectOf = (text: string): JsonObject & { readonly kind: string } => {
  const value = parseCanonical(text);
  if (!isJsonObject(value) || typeof value["kind"] !== "string") throw new Error("not an object with a kind");
  return { ...value, kind: value["kind"] };
};

describe("docs/formats/canonical-json.md", () => {
  const block = fencedBlocks("docs/formats/canonical-json.md");

  it("shows a document, its canonical form and that form's digest", () => {
    const output = formatCanonical(parseJson(block("canonical-input")));
    expect(output).toBe(block("canonical-output"));
    expect(formatHex(sha256(formatUtf8(output)))).toBe(block("canonical-sha256"));
    expect(codeOf(() => parseCanonical(block("canonical-input")))).toBe("ERR_JSON_CANONICAL");
  });
});

describe("docs/formats/signature.md", () => {
  const block = fencedBlocks("docs/formats/signature.md");
  const body = objectOf(block("signature-body"));
  const signers = ALGS.map((alg) => createSigner(alg, secretOf(SECRET_BYTES[alg])));

  it("shows the digest and the signing input of its body", () => {
    expect(formatHex(sha256(formatUtf8(formatCanonical(body))))).toBe(block("signature-body-sha256"));
    expect(formatHex(signingInput("example", "ed25519", body))).toBe(block("signature-input"));
  });

  it("shows the keys of its secrets and their ids", () => {
    expect(signers.map(({ publicKey }) => publicKey.kid)).toEqual(block("signature-kids").split("\n"));
    for (const { publicKey } of signers.slice(0, 2)) {
      const text = block(`signature-key-${publicKey.alg}`);
      expect(formatCanonical(formatPublicKey(publicKey))).toBe(text);
      expect(readShape(publicKeyShape, parseCanonical(text), "key")).toEqual(publicKey);
    }
  });

  it("shows envelopes that verify; the Ed25519 one to the byte", () => {
    for (const { publicKey } of signers.slice(0, 2)) {
      const envelope = objectOf(block(`signature-envelope-${publicKey.alg}`));
      expect(codeOf(() => checkSignedBy(envelope, publicKey))).toBe("accepted");
      expect(codeOf(() => checkSignedBy({ ...envelope, ratio: 0.25 }, publicKey))).toBe("ERR_SIGNATURE_INVALID");
    }
    const signed = signEnvelope(body, signers.slice(0, 1));
    expect(formatCanonical(signed)).toBe(block("signature-envelope-ed25519"));
  });
});

describe("docs/formats/commitment.md", () => {
  const block = fencedBlocks("docs/formats/commitment.md");
  const secret = secretOf(32);
  const name = "request_received";
  const payload = formatUtf8(block("commitment-payload"));
  const value = parseJson(payload);
  const [root = "", bytesRoot = ""] = block("commitment-roots").split("\n");
  const commitment = { scheme: "countersign/fields/v1", root } as const;

  it("shows every leaf", () => {
    const leaves = jsonLeaves(secret, name, value, payload);
    const lines = leaves.map((leaf) =>
      [leaf.pointer, formatHex(leaf.salt), formatHex(hashCommittedLeaf(leaf))].join(" "),
    );
    expect(lines).toEqual(block("commitment-leaves").split("\n"));
  });

  it("shows the roots of both schemes", () => {
    expect(commitJson(secret, name, value, payload)).toBe(root);
    expect(commitBytes(secret, name, payload)).toBe(bytesRoot);
    expect(codeOf(() => checkPayload(commitment, secret, name, payload))).toBe("accepted");
  });

  it("shows an opening that holds", () => {
    const text = block("commitment-opening");
    expect(formatCanonical(openField(secret, name, value, payload, "/to"))).toBe(text);
    const opening = readShape(openingShape, parseCanonical(text), "opening");
    expect(codeOf(() => checkOpening(commitment, opening))).toBe("accepted");
  });
});
