import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { concat, formatUint32, formatUtf8 } from "../../kernel/bytes.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { readShape } from "../../kernel/shape.ts";
import {
  COMPOSITE_KEY,
  COMPOSITE_SIGNATURE,
  formatComposite,
  splitComposite,
} from "../../kernel/signature/composite.ts";
import {
  ALGS,
  formatPublicKey,
  kidOf,
  kidShape,
  makePublicKey,
  parseKid,
  publicKeyShape,
} from "../../kernel/signature/public-key.ts";
import { createSigner, SECRET_BYTES } from "../../kernel/signature/signer.ts";
import { createVerifier } from "../../kernel/signature/verifier.ts";
import { codeOf } from "../support/code-of.ts";

const keys = ALGS.map((alg) => createSigner(alg, new Uint8Array(SECRET_BYTES[alg]).fill(5)).publicKey);
const input = formatUtf8("countersign/heartbeat/v1\n");

describe.each(keys)("a public key of $alg", (key) => {
  it("has the id SHA-256(alg LF bytes)", () => {
    const digest = createHash("sha256").update(`${key.alg}\n`).update(key.bytes).digest("hex");
    expect(key.kid).toBe(digest);
    expect(parseKid(digest)).toBe(kidOf(key.alg, key.bytes));
  });

  it("survives its JSON form", () => {
    const text = JSON.stringify(formatPublicKey(key));
    expect(readShape(publicKeyShape, parseJson(text), "key")).toEqual(key);
  });

  it("is refused truncated, with a byte more, or as a key of another algorithm", () => {
    for (const bytes of [
      key.bytes.slice(1),
      key.bytes.slice(0, -1),
      concat(key.bytes, Uint8Array.of(0)),
      new Uint8Array(0),
    ]) {
      expect(codeOf(() => makePublicKey(key.alg, bytes))).toBe("ERR_KEY_INVALID");
    }
    for (const alg of ALGS.filter((other) => other !== key.alg)) {
      expect(codeOf(() => makePublicKey(alg, key.bytes))).toBe("ERR_KEY_INVALID");
    }
  });

  it("keeps its own copy of the bytes", () => {
    const bytes = key.bytes.slice();
    const copy = makePublicKey(key.alg, bytes);
    bytes.fill(0);
    expect(copy.bytes).toEqual(key.bytes);
  });
});

describe("a public key", () => {
  it("is read strictly from JSON", () => {
    const [json] = keys.map(formatPublicKey);
    const bad = [
      {},
      { ...json, kid: "x" },
      { ...json, alg: "rsa" },
      { ...json, key: "AAE" },
      { ...json, key: "A".repeat(2660) },
    ];
    for (const value of bad) expect(codeOf(() => readShape(publicKeyShape, value, "key"))).toBe("ERR_SHAPE");
    expect(codeOf(() => readShape(publicKeyShape, { alg: "ed25519", key: "AAAA" }, "key"))).toBe("ERR_KEY_INVALID");
  });

  it("of Ed25519 is guarded, also inside the composite", () => {
    const weak = Uint8Array.of(1, ...new Uint8Array(31));
    expect(codeOf(() => makePublicKey("ed25519", weak))).toBe("ERR_KEY_WEAK");
    const composite = formatComposite({ mlDsa: new Uint8Array(COMPOSITE_KEY.mlDsa), ed25519: weak });
    expect(codeOf(() => makePublicKey("mldsa65-ed25519", composite))).toBe("ERR_KEY_WEAK");
  });

  it("of P-256 must be uncompressed, reduced and on the curve", () => {
    const key = keys.find(({ alg }) => alg === "es256")?.bytes ?? new Uint8Array(0);
    const change = (at: number, byte: number): Uint8Array => key.map((old, i) => (i === at ? byte : old));
    const unreduced = Uint8Array.of(4, ...new Uint8Array(64).fill(255));
    for (const bytes of [change(0, 2), change(0, 6), change(64, (key[64] ?? 0) ^ 1), unreduced, new Uint8Array(65)]) {
      expect(codeOf(() => makePublicKey("es256", bytes))).toBe("ERR_KEY_INVALID");
    }
  });
});

describe("a key id", () => {
  it("is 64 lower-case hexadecimal digits", () => {
    const kid = keys[0]?.kid ?? "";
    for (const text of ["", kid.slice(1), `${kid}0`, kid.toUpperCase(), `${kid.slice(1)}\n`, `${kid.slice(1)}g`]) {
      expect(codeOf(() => parseKid(text))).toBe("ERR_KID");
      expect(codeOf(() => readShape(kidShape, text, "kid"))).toBe("ERR_SHAPE");
    }
  });
});

describe("a signer", () => {
  it("takes a secret of its algorithm's length alone", () => {
    for (const alg of ALGS) {
      for (const length of [0, 31, 33, SECRET_BYTES[alg] + 1, 96 - SECRET_BYTES[alg]]) {
        expect(codeOf(() => createSigner(alg, new Uint8Array(length).fill(1)))).toBe("ERR_BYTES_LENGTH");
      }
    }
    expect(codeOf(() => createSigner("es256", new Uint8Array(32)))).toBe("ERR_KEY_INVALID");
  });
});

describe("the composite", () => {
  const secret = new Uint8Array(64).map((_, i) => i);
  const both = createSigner("mldsa65-ed25519", secret);
  const other = createSigner("mldsa65-ed25519", new Uint8Array(64).fill(1));
  const verify = createVerifier(both.publicKey);

  it("is two length-prefixed parts, and its Ed25519 part is that of the second seed", () => {
    const parts = splitComposite(both.publicKey.bytes, COMPOSITE_KEY);
    expect(parts?.ed25519).toEqual(createSigner("ed25519", secret.subarray(32)).publicKey.bytes);
    expect(both.publicKey.bytes.subarray(0, 4)).toEqual(formatUint32(1952));
    expect(both.publicKey.bytes.subarray(1956, 1960)).toEqual(formatUint32(32));
    expect(both.sign(input)).toHaveLength(4 + 3309 + 4 + 64);
  });

  it("needs both signatures: one good part with another key's is refused", () => {
    const good = splitComposite(both.sign(input), COMPOSITE_SIGNATURE);
    const bad = splitComposite(other.sign(input), COMPOSITE_SIGNATURE);
    if (good === undefined || bad === undefined) throw new Error("not a composite");
    expect(verify(input, formatComposite(good))).toBe(true);
    expect(verify(input, formatComposite({ ...good, ed25519: bad.ed25519 }))).toBe(false);
    expect(verify(input, formatComposite({ ...good, mlDsa: bad.mlDsa }))).toBe(false);
  });

  it("has one layout: other lengths, swapped parts and other prefixes are refused", () => {
    const signature = both.sign(input);
    const parts = splitComposite(signature, COMPOSITE_SIGNATURE);
    if (parts === undefined) throw new Error("not a composite");
    expect(verify(input, formatComposite({ mlDsa: parts.ed25519, ed25519: parts.mlDsa }))).toBe(false);
    for (const at of [0, 3, 4 + 3309, 7 + 3309]) {
      const changed = signature.map((byte, i) => (i === at ? byte ^ 1 : byte));
      expect(verify(input, changed)).toBe(false);
    }
  });
});
