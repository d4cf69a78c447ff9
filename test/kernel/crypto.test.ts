import { readFileSync } from "node:fs";
import { ed25519 as curves } from "@noble/curves/ed25519.js";
import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import * as browser from "../../kernel/crypto/browser.ts";
import * as node from "../../kernel/crypto/node.ts";
import type { CryptoPrimitives, SignatureAlgorithm, Verifier } from "../../kernel/crypto/primitives.ts";
import { decidesAsOpenssl } from "../../kernel/crypto/sodium-ed25519.ts";
import { parseHex } from "../../kernel/hex.ts";
import { ed25519Verifier } from "../../kernel/signature/ed25519.ts";
import { checkEd25519Key, checkEd25519Point } from "../../kernel/signature/ed25519-key-guard.ts";
import { codeOf } from "../support/code-of.ts";
import { fixturePath } from "../support/fixtures.ts";
import { ALGORITHM_NAMES, describeCrypto } from "./crypto-contract.ts";

const native: CryptoPrimitives = node;
/** Node's side where libsodium cannot be had. */
const openssl: CryptoPrimitives = { ...node, ed25519: node.opensslEd25519 };
const noble: CryptoPrimitives = browser;

describeCrypto("node", native);
describeCrypto("node without libsodium", openssl);
describeCrypto("noble", noble);

describe("libsodium under Node", () => {
  const { publicKey, signer } = openssl.ed25519;

  it("decides Ed25519 where it is installed", () => {
    expect(native.implementations.ed25519).toBe("sodium-native");
    expect(decidesAsOpenssl(native.ed25519)).toBe(true);
    expect(decidesAsOpenssl(openssl.ed25519)).toBe(true);
  });

  it("is not used if it makes other keys or signatures, refuses honest ones or takes what OpenSSL refuses", () => {
    const others: readonly Partial<SignatureAlgorithm>[] = [
      { publicKey: (seed) => publicKey(seed.toReversed()) },
      { signer: (seed) => signer(seed.toReversed()) },
      { verifier: () => () => false },
      { verifier: () => () => true },
      { verifier: () => isCofactored },
    ];
    for (const other of others) expect(decidesAsOpenssl({ ...openssl.ed25519, ...other })).toBe(false);
  });

  /** RFC 8032 §5.1.7 as some read it: the equation times eight. */
  function isCofactored(message: Uint8Array, signature: Uint8Array): boolean {
    const key = parseHex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    return curves.verify(signature, message, key, { zip215: true });
  }

  it("gives the signatures and verdicts of OpenSSL for messages of every kind of memory and length", () => {
    const seed = new Uint8Array(32).fill(5);
    const key = publicKey(seed);
    const around = new Uint8Array(5000).map((_, i) => i);
    for (const length of [0, 1, 63, 64, 65, 127, 128, 129, 3500]) {
      for (const message of [around.subarray(7, 7 + length), around.slice(0, length), Buffer.alloc(length, 3)]) {
        const signature = native.ed25519.signer(seed)(message);
        expect(signature).toEqual(openssl.ed25519.signer(seed)(message));
        expect(native.ed25519.verifier(key)(message, signature)).toBe(true);
      }
    }
  });
});

describe("the two sides of #crypto", () => {
  it("derive the same keys and accept each other's signatures", () => {
    const secret = new Uint8Array(32).fill(9);
    const message = formatUtf8("both");
    for (const name of ALGORITHM_NAMES) {
      const key = native[name].publicKey(secret);
      expect(noble[name].publicKey(secret)).toEqual(key);
      expect(noble[name].verifier(key)(message, native[name].signer(secret)(message))).toBe(true);
      expect(native[name].verifier(key)(message, noble[name].signer(secret)(message))).toBe(true);
    }
  });

  it("use noble where this Node has no native ML-DSA, and say so", () => {
    const hasNative = Number(process.versions.node.split(".")[0]) >= 24;
    const { mlDsa44, mlDsa65, ed25519 } = native.implementations;
    expect([mlDsa44, mlDsa65]).toEqual(Array(2).fill(hasNative ? "node:crypto" : "@noble/post-quantum"));
    expect([ed25519, openssl.implementations.p256]).toEqual(["sodium-native", "node:crypto"]);
  });
});

/** One case of fixtures/tlog/ed25519/cctv.json. */
interface EdgeCase {
  readonly number: number;
  readonly key: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  readonly flags: readonly string[];
  readonly isAccepted: boolean;
}

/** Verdict of a primitive on a case. */
const verdict = (side: CryptoPrimitives, { key, message, signature }: EdgeCase): boolean =>
  side.ed25519.verifier(key)(message, signature);

/** Verdict with the key guard in front. */
function guarded(verify: (key: Uint8Array) => Verifier, { key, message, signature }: EdgeCase): boolean {
  return codeOf(() => checkEd25519Key(key)) === "accepted" && verify(key)(message, signature);
}

function readCases(): readonly EdgeCase[] {
  const { cases } = JSON.parse(readFileSync(fixturePath("tlog", "ed25519", "cctv.json"), "utf8"));
  return cases.map((item: Readonly<Record<"key" | "sig" | "msg" | "expect", string>> & EdgeCase) => ({
    number: item.number,
    key: parseHex(String(item.key)),
    message: formatUtf8(item.msg),
    signature: parseHex(item.sig),
    flags: item.flags ?? [],
    isAccepted: item.expect === "accept",
  }));
}

describe("the published edge cases of Ed25519", () => {
  const cases = readCases();
  const hasSmallOrder = ({ flags }: EdgeCase): boolean =>
    flags.includes("low_order_A") || flags.includes("low_order_R");
  /** OpenSSL 3.5, in Node 24 and later, refuses points of small order; 3.0 does not. */
  const isStrictOpenssl = !process.versions.openssl.startsWith("3.0.");
  const numbers = (list: readonly EdgeCase[]): readonly number[] => list.map(({ number }) => number);

  it("are present, with both verdicts", () => {
    expect(cases).toHaveLength(473);
    expect(cases.filter(({ isAccepted }) => isAccepted)).toHaveLength(108);
  });

  it("are decided by bare OpenSSL as pinned for its version, and by bare libsodium as by the strict one", () => {
    const accepted = cases.filter(({ isAccepted }) => isAccepted);
    const strict = accepted.filter((item) => !hasSmallOrder(item));
    expect(numbers(cases.filter((item) => verdict(openssl, item)))).toEqual(
      numbers(isStrictOpenssl ? strict : accepted),
    );
    expect(numbers(cases.filter((item) => verdict(native, item)))).toEqual(numbers(strict));
  });

  it("are decided by bare noble with a guarded R in another way: 105 times beside OpenSSL 3.0", () => {
    const differ = cases.filter((item) => item.isAccepted !== verdict(noble, item));
    expect(differ).toHaveLength(105);
    const keys = differ.map((item) => codeOf(() => checkEd25519Key(item.key)));
    expect(new Set(keys)).toEqual(new Set(["ERR_KEY_WEAK"]));
  });

  it("are decided alike by both sides behind the key guard, which leaves one: an honest signature", () => {
    const primitive = (side: CryptoPrimitives) => (item: EdgeCase) => guarded(side.ed25519.verifier, item);
    const identityR = cases.filter((item) => primitive(noble)(item) && hasSmallOrder(item));
    expect(numbers(identityR)).toEqual([304]);
    const want = cases.filter((item) => primitive(noble)(item) && !hasSmallOrder(item));
    expect(numbers(want)).toHaveLength(1);
    const exported = (item: EdgeCase): boolean => guarded(ed25519Verifier, item);
    expect(numbers(cases.filter(exported))).toEqual(numbers(want));
    for (const side of [native, openssl]) {
      expect(numbers(cases.filter((item) => primitive(side)(item) && !hasSmallOrder(item)))).toEqual(numbers(want));
    }
  });
});

describe("the Ed25519 key guard", () => {
  const honest = native.ed25519.publicKey(new Uint8Array(32).fill(3));
  /** The eight points of small order in their canonical encodings, and what else encodes them. */
  const smallOrder = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  ];

  it("takes honest keys", () => {
    expect(codeOf(() => checkEd25519Key(honest))).toBe("accepted");
    expect(codeOf(() => ed25519Verifier(honest))).toBe("accepted");
  });

  it("refuses points of small order, non-canonical encodings, points off the curve and other lengths", () => {
    const off = "0200000000000000000000000000000000000000000000000000000000000000";
    for (const key of [...smallOrder, off, "ff".repeat(32), "", "00".repeat(31), "01".repeat(33)]) {
      expect(codeOf(() => checkEd25519Key(parseHex(key)))).toBe("ERR_KEY_WEAK");
      expect(codeOf(() => ed25519Verifier(parseHex(key)))).toBe("ERR_KEY_WEAK");
    }
  });

  it("refuses keys with a small-order component and lets an R be the identity", () => {
    const mixed = readCases().filter(({ flags }) => flags.includes("low_order_component_A"));
    expect(mixed.length).toBeGreaterThan(100);
    for (const { key } of mixed) expect(codeOf(() => checkEd25519Key(key))).toBe("ERR_KEY_WEAK");
    expect(codeOf(() => checkEd25519Point(parseHex(smallOrder[0] ?? "")))).toBe("accepted");
    expect(codeOf(() => checkEd25519Point(parseHex(smallOrder[1] ?? "")))).toBe("ERR_KEY_WEAK");
  });

  it("gives a verifier that refuses signatures of other lengths and an R that is the identity", () => {
    const secret = new Uint8Array(32).fill(3);
    const message = formatUtf8("m");
    const signature = native.ed25519.signer(secret)(message);
    const verify = ed25519Verifier(honest);
    expect(verify(message, signature)).toBe(true);
    expect(verify(message, signature.slice(0, 63))).toBe(false);
    expect(verify(message, new Uint8Array(0))).toBe(false);
    const identity = readCases().find(({ number }) => number === 304);
    if (identity === undefined) throw new Error("case 304 is missing");
    expect(ed25519Verifier(identity.key)(identity.message, identity.signature)).toBe(false);
  });
});
