/** What both sides of `#crypto` must do; run against node.ts and browser.ts by crypto.test.ts. */

import { createHash, createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { concat, formatUtf8 } from "../../kernel/bytes.ts";
import { isLowS } from "../../kernel/crypto/key-encoding.ts";
import type { CryptoPrimitives, SignatureAlgorithm } from "../../kernel/crypto/primitives.ts";
import { formatHex, parseHex } from "../../kernel/hex.ts";
import { codeOf } from "../support/code-of.ts";

/** Sizes of raw keys and signatures, and a public key of the seed 01…01 that an independent tool derived. */
export const ALGORITHMS = {
  ed25519: { publicKeyBytes: 32, signatureBytes: 64 },
  p256: { publicKeyBytes: 65, signatureBytes: 64 },
  mlDsa44: { publicKeyBytes: 1312, signatureBytes: 2420 },
  mlDsa65: { publicKeyBytes: 1952, signatureBytes: 3309 },
} as const;

/** Name of an algorithm of `#crypto`. */
export type AlgorithmName = keyof typeof ALGORITHMS;

/** The names, typed. */
export const ALGORITHM_NAMES: readonly AlgorithmName[] = ["ed25519", "p256", "mlDsa44", "mlDsa65"];

const P256_ORDER = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");

/** Declares the contract's tests for one side. */
export function describeCrypto(side: string, crypto: CryptoPrimitives): void {
  describe(`${side}: hashes`, () => {
    it("hashes and authenticates as node:crypto does, over lengths around block bounds", () => {
      for (const length of [0, 1, 31, 32, 55, 56, 63, 64, 65, 300, 5000]) {
        const data = new Uint8Array(length).map((_, i) => i);
        const key = data.subarray(0, Math.min(length, 100));
        expect(formatHex(crypto.sha256(data))).toBe(createHash("sha256").update(data).digest("hex"));
        const memory = new Uint8Array(40).fill(9);
        crypto.sha256Into(data, memory, 5);
        const around = `${"09".repeat(5)}${formatHex(crypto.sha256(data))}${"09".repeat(3)}`;
        expect(formatHex(memory)).toBe(around);
        expect(formatHex(crypto.hmacSha256(key, data))).toBe(createHmac("sha256", key).update(data).digest("hex"));
      }
    });

    it("reads views, and returns plain arrays that own their memory", () => {
      const data = formatUtf8("..abc..");
      const hash = crypto.sha256(data.subarray(2, 5));
      expect(formatHex(hash)).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
      expectOwned(hash);
      expectOwned(crypto.hmacSha256(data, data));
    });
  });

  describe.each(ALGORITHM_NAMES)(`${side}: %s`, (name) => describeAlgorithm(name, crypto[name]));

  describe(`${side}: fixed values`, () => {
    it("agrees with RFC 8032 §7.1 test 2", () => {
      const seed = parseHex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
      const key = parseHex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
      const signature =
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
      expect(crypto.ed25519.publicKey(seed)).toEqual(key);
      expect(formatHex(crypto.ed25519.signer(seed)(Uint8Array.of(0x72)))).toBe(signature);
    });

    it("agrees with RFC 6979 §A.2.5 on the P-256 key, and takes its signature in the low-S form alone", () => {
      const secret = parseHex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
      const x = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6";
      const y = "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
      expect(formatHex(crypto.p256.publicKey(secret))).toBe(`04${x}${y}`);
      const r = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716";
      const highS = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
      const lowS = (P256_ORDER - BigInt(`0x${highS}`)).toString(16).padStart(64, "0");
      const verify = crypto.p256.verifier(parseHex(`04${x}${y}`));
      expect(verify(formatUtf8("sample"), parseHex(r + highS))).toBe(false);
      expect(verify(formatUtf8("sample"), parseHex(r + lowS))).toBe(true);
    });

    it("takes no P-256 secret that is zero or not below the order, nor a point off the curve or in another form", () => {
      const order = parseHex(P256_ORDER.toString(16));
      for (const secret of [new Uint8Array(32), order, new Uint8Array(32).fill(255)]) {
        expect(codeOf(() => crypto.p256.publicKey(secret))).toBe("ERR_KEY_INVALID");
        expect(codeOf(() => crypto.p256.signer(secret))).toBe("ERR_KEY_INVALID");
      }
      const secret = new Uint8Array(32).fill(7);
      const key = crypto.p256.publicKey(secret);
      const message = formatUtf8("m");
      const signature = crypto.p256.signer(secret)(message);
      const compressed = concat(Uint8Array.of(2 + ((key[64] ?? 0) & 1)), key.subarray(1, 33));
      const hybrid = concat(Uint8Array.of(6 + ((key[64] ?? 0) & 1)), key.subarray(1));
      for (const other of [flip(key, 64), compressed, hybrid, Uint8Array.of(0)]) {
        expect(crypto.p256.verifier(other)(message, signature)).toBe(false);
      }
    });

    it("names what decides each verdict", () => {
      for (const name of ["sha256", ...ALGORITHM_NAMES] as const) {
        expect(crypto.implementations[name]).toMatch(/^(?:node:crypto|sodium-native|@noble\/[a-z0-9-]+)$/u);
      }
    });
  });
}

function describeAlgorithm(name: AlgorithmName, algorithm: SignatureAlgorithm): void {
  const secret = new Uint8Array(32).fill(1);
  const key = algorithm.publicKey(secret);
  const message = formatUtf8("countersign");
  const signature = algorithm.signer(secret)(message);
  const { publicKeyBytes, signatureBytes } = ALGORITHMS[name];

  it("has raw keys and signatures of fixed length that own their memory", () => {
    expect([key.length, signature.length]).toEqual([publicKeyBytes, signatureBytes]);
    expectOwned(key);
    expectOwned(signature);
  });

  it("accepts its own signatures, of an empty message too", () => {
    expect(algorithm.verifier(key)(message, signature)).toBe(true);
    const empty = new Uint8Array(0);
    expect(algorithm.verifier(key)(empty, algorithm.signer(secret)(empty))).toBe(true);
  });

  it("refuses another message, another key, a flipped bit anywhere and every other length, without an exception", () => {
    const verify = algorithm.verifier(key);
    expect(verify(formatUtf8("Countersign"), signature)).toBe(false);
    expect(algorithm.verifier(algorithm.publicKey(new Uint8Array(32).fill(2)))(message, signature)).toBe(false);
    for (let at = 0; at < signature.length; at += Math.ceil(signature.length / 32)) {
      expect(verify(message, flip(signature, at))).toBe(false);
    }
    for (const length of [0, 1, 32, signature.length - 1])
      expect(verify(message, signature.slice(0, length))).toBe(false);
    expect(verify(message, concat(signature, Uint8Array.of(0)))).toBe(false);
    for (const fill of [0, 255]) expect(verify(message, new Uint8Array(signature.length).fill(fill))).toBe(false);
  });

  it("refuses everything under a key of another length", () => {
    for (const other of [new Uint8Array(0), key.slice(1), concat(key, Uint8Array.of(0))]) {
      expect(algorithm.verifier(other)(message, signature)).toBe(false);
    }
  });

  it("takes secrets of 32 bytes alone", () => {
    for (const length of [0, 31, 33, 64]) {
      expect(codeOf(() => algorithm.publicKey(new Uint8Array(length).fill(1)))).toBe("ERR_BYTES_LENGTH");
      expect(codeOf(() => algorithm.signer(new Uint8Array(length).fill(1)))).toBe("ERR_BYTES_LENGTH");
    }
  });

  it("keeps no reference to the memory of its keys", () => {
    const borrowed = [secret.slice(), key.slice()] as const;
    const [sign, verify] = [algorithm.signer(borrowed[0]), algorithm.verifier(borrowed[1])];
    for (const bytes of borrowed) bytes.fill(0);
    expect(verify(message, sign(message))).toBe(true);
  });

  if (name !== "p256") return;
  it("signs in the low-S form, every time", () => {
    const sign = algorithm.signer(secret);
    for (let i = 0; i < 32; i += 1) expect(isLowS(sign(Uint8Array.of(i)))).toBe(true);
  });
}

/** A plain Uint8Array over memory of its own: nothing else can be read or changed through it. */
function expectOwned(bytes: Uint8Array): void {
  expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
  expect(bytes.buffer.byteLength).toBe(bytes.length);
}

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const flipped = bytes.slice();
  flipped[at] = (flipped[at] ?? 0) ^ 1;
  return flipped;
}
