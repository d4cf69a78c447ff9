import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatCbor } from "../../kernel/cbor/encode.ts";
import { parseCbor } from "../../kernel/cbor/parse.ts";
import type { CborKey, CborValue } from "../../kernel/cbor/value.ts";
import {
  coseThumbprint,
  formatCoseKey,
  formatCoseKeySet,
  parseCoseKey,
  parseCoseKeySet,
} from "../../kernel/cose/cose-key.ts";
import { CLAIM, HEADER } from "../../kernel/cose/header.ts";
import { checkInclusionReceipt } from "../../kernel/cose/inclusion-receipt.ts";
import {
  addReceipts,
  checkStatement,
  parseStatement,
  signStatement,
  statementEntry,
  statementLeaf,
} from "../../kernel/cose/statement.ts";
import { formatHex, parseHex } from "../../kernel/hex.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { makePublicKey } from "../../kernel/signature/public-key.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { codeOf } from "../support/code-of.ts";
import {
  coseEntries,
  coseSigners,
  makeReceipt,
  makeStatement,
  resignSign1,
  rewriteSign1,
  statementIssuer,
} from "../support/cose.ts";
import { bytePrefixes, oneByteChanges } from "../support/each-byte.ts";

const bytes = makeStatement(5);
const payload = formatUtf8("statement 5");
const codeOfStatement = (changed: Uint8Array): string =>
  codeOf(() => checkStatement(parseStatement(changed), statementIssuer.publicKey));
const resigned = (
  change: (header: Map<CborKey, CborValue>, unprotected: Map<CborKey, CborValue>) => void,
): Uint8Array => resignSign1(bytes, payload, statementIssuer, change);

describe("a signed statement", () => {
  it("names issuer, subject, key and payload, all signed", () => {
    const statement = parseStatement(bytes);
    expect(statement).toMatchObject({ issuer: "https://issuer.example", subject: "urn:example:artifact:5", alg: -8n });
    expect(statement.kid).toEqual(coseThumbprint(statementIssuer.publicKey));
    expect(statement.payload).toEqual(payload);
    expect(codeOfStatement(bytes)).toBe("accepted");
  });

  it("refuses every changed bit and every truncation", () => {
    for (const changed of oneByteChanges(bytes)) expect(codeOfStatement(changed)).not.toBe("accepted");
    for (const prefix of bytePrefixes(bytes)) expect(codeOfStatement(prefix)).toBe("ERR_CBOR_SYNTAX");
  });

  it("takes ES256 signatures with either s, since RFC 9053 has no low-S rule", () => {
    const signer = coseSigners.es256;
    const low = makeStatement(1, signer);
    const order = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    const high = rewriteSign1(low, ({ signature }) => {
      const s = order - BigInt(`0x${formatHex(signature.subarray(32))}`);
      return { signature: parseHex(formatHex(signature.subarray(0, 32)) + s.toString(16).padStart(64, "0")) };
    });
    const check = (one: Uint8Array): string => codeOf(() => checkStatement(parseStatement(one), signer.publicKey));
    expect([check(low), check(high)]).toEqual(["accepted", "accepted"]);
    expect(check(rewriteSign1(low, ({ signature }) => ({ signature: signature.subarray(1) })))).toBe(
      "ERR_COSE_SIGNATURE",
    );
  });

  it("has the same entry whatever its unprotected header holds", async () => {
    const receipts = [await makeReceipt(5, 12), await makeReceipt(5, 12, coseSigners.es256)];
    const transparent = parseStatement(addReceipts(parseStatement(bytes), receipts));
    expect(transparent.receipts).toEqual(receipts);
    expect(statementEntry(transparent)).toEqual(coseEntries[5]);
    const noisy = rewriteSign1(bytes, () => ({ unprotectedHeader: new Map<CborKey, CborValue>([["x", 1n]]) }));
    expect(statementEntry(parseStatement(noisy))).toEqual(bytes);
    for (const receipt of transparent.receipts.slice(0, 1)) {
      const expected = { key: coseSigners.ed25519.publicKey, subject: transparent.subject };
      expect(checkInclusionReceipt(receipt, statementLeaf(transparent), expected).index).toBe(5n);
    }
  });

  it("has another leaf in a log that hashes digests of statements", () => {
    const statement = parseStatement(bytes);
    expect(statementLeaf(statement)).toEqual(hashLeaf(bytes));
    expect(statementLeaf(statement, "statement-digest")).not.toEqual(hashLeaf(bytes));
  });

  it.each<[string, (header: Map<CborKey, CborValue>, unprotected: Map<CborKey, CborValue>) => void]>([
    ["without claims", (header) => void header.delete(HEADER.cwtClaims)],
    [
      "without a subject",
      (header) => void header.set(HEADER.cwtClaims, new Map([[CLAIM.issuer, "https://a.example"]])),
    ],
    ["without an issuer", (header) => void header.set(HEADER.cwtClaims, new Map([[CLAIM.subject, "b"]]))],
    ["with an empty issuer", (header) => void header.set(HEADER.cwtClaims, new Map([[1n, ""], [2n, "b"]]))], // biome-ignore format: one line a case
    ["with claims that are no map", (header) => void header.set(HEADER.cwtClaims, [])],
    ["without an algorithm", (header) => void header.delete(HEADER.alg)],
    ["with a kid that is text", (header) => void header.set(HEADER.kid, "kid")],
    ["with receipts that are no array", (_, unprotected) => void unprotected.set(HEADER.receipts, new Uint8Array(3))],
    ["with no receipts in the array", (_, unprotected) => void unprotected.set(HEADER.receipts, [])],
    ["with receipts that are no bytes", (_, unprotected) => void unprotected.set(HEADER.receipts, ["x"])],
  ])("is refused %s", (_, change) => {
    expect(codeOfStatement(resigned(change))).toBe("ERR_COSE_HEADER");
  });

  it("is refused with a detached payload, and with claims in the unprotected header", () => {
    expect(codeOfStatement(rewriteSign1(bytes, () => ({ payload: null })))).toBe("ERR_COSE_PAYLOAD");
    const moved = (header: Map<CborKey, CborValue>, unprotected: Map<CborKey, CborValue>): void => {
      unprotected.set(HEADER.cwtClaims, header.get(HEADER.cwtClaims) ?? null);
      header.delete(HEADER.cwtClaims);
    };
    expect(codeOfStatement(resigned(moved))).toBe("ERR_COSE_HEADER");
  });

  it("cannot be signed with the composite", () => {
    const composite = createSigner("mldsa65-ed25519", new Uint8Array(64).fill(3));
    const content = { issuer: "a", subject: "b", payload };
    expect(codeOf(() => signStatement(content, composite))).toBe("ERR_COSE_ALG");
  });
});

describe("a COSE_Key", () => {
  /** RFC 9679 §6: the example key and its thumbprint. */
  const X = "65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d";
  const Y = "1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c";
  const THUMBPRINT = "496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec";
  const members = (changes: readonly (readonly [bigint, CborValue | undefined])[]): Uint8Array => {
    const map = new Map<CborKey, CborValue>([[1n, 2n], [-1n, 1n], [-2n, parseHex(X)], [-3n, parseHex(Y)]]); // biome-ignore format: one key
    for (const [label, value] of changes) {
      if (value === undefined) map.delete(label);
      else map.set(label, value);
    }
    return formatCbor(map);
  };

  it("has the thumbprint of RFC 9679 §6", () => {
    expect(formatHex(coseThumbprint(makePublicKey("es256", parseHex(`04${X}${Y}`))))).toBe(THUMBPRINT);
    expect(formatHex(parseCoseKey(members([])).kid)).toBe(THUMBPRINT);
  });

  it("is read as it was written, alone and in a set", () => {
    const keys = [coseSigners.ed25519.publicKey, coseSigners.es256.publicKey];
    for (const key of keys) {
      expect(parseCoseKey(formatCoseKey(key))).toEqual({ key, kid: coseThumbprint(key) });
      for (const prefix of bytePrefixes(formatCoseKey(key)))
        expect(codeOf(() => parseCoseKey(prefix))).toBe("ERR_CBOR_SYNTAX");
    }
    expect(parseCoseKeySet(formatCoseKeySet(keys)).map(({ key }) => key)).toEqual(keys);
    expect(codeOf(() => parseCoseKeySet(formatCoseKey(coseSigners.ed25519.publicKey)))).toBe("ERR_COSE_KEY");
  });

  it("keeps a kid of its own", () => {
    expect(parseCoseKey(members([[2n, formatUtf8("key-1")]])).kid).toEqual(formatUtf8("key-1"));
    expect(codeOf(() => parseCoseKey(members([[2n, new Uint8Array(0)]])))).toBe("ERR_COSE_KEY");
  });

  it.each<[string, readonly (readonly [bigint, CborValue | undefined])[], string]>([
    ["a private member", [[-4n, new Uint8Array(32)]], "ERR_COSE_KEY"],
    ["a compressed point", [[-3n, true]], "ERR_COSE_KEY"],
    ["another curve", [[-1n, 2n]], "ERR_COSE_KEY"],
    ["another type", [[1n, 3n]], "ERR_COSE_KEY"],
    ["a short coordinate", [[-2n, new Uint8Array(31)]], "ERR_COSE_KEY"],
    ["no coordinate", [[-3n, undefined]], "ERR_COSE_KEY"],
    ["a point off the curve", [[-2n, new Uint8Array(32)]], "ERR_KEY_INVALID"],
    ["another algorithm", [[3n, -8n]], "ERR_COSE_ALG"],
    ["an algorithm that is text", [[3n, "ES256"]], "ERR_COSE_KEY"],
    ["operations without verify", [[4n, [1n]]], "ERR_COSE_KEY"],
    [
      "an Ed25519 key of small order",
      [
        [1n, 1n],
        [-1n, 6n],
        [-2n, Uint8Array.of(1, ...new Uint8Array(31))],
        [-3n, undefined],
      ],
      "ERR_KEY_WEAK",
    ],
  ])("is refused with %s", (_, changes, code) => {
    expect(codeOf(() => parseCoseKey(members(changes)))).toBe(code);
  });

  it("says what it is in CBOR", () => {
    const key = parseCbor(formatCoseKey(coseSigners.es256.publicKey));
    expect(key instanceof Map ? [...key.keys()] : []).toEqual([1n, 2n, 3n, -1n, -2n, -3n]);
  });
});
