import { describe, expect, it } from "vitest";
import { formatCbor } from "../../kernel/cbor/encode.ts";
import type { CborKey, CborValue } from "../../kernel/cbor/value.ts";
import { checkConsistencyReceipt, signConsistencyReceipt } from "../../kernel/cose/consistency-receipt.ts";
import { CLAIM, HEADER } from "../../kernel/cose/header.ts";
import {
  checkInclusionReceipt,
  parseInclusionReceipt,
  signInclusionReceipt,
} from "../../kernel/cose/inclusion-receipt.ts";
import { parseHex } from "../../kernel/hex.ts";
import { asRootHash, type RootHash } from "../../kernel/merkle/hash.ts";
import { proveConsistency, proveInclusion } from "../../kernel/merkle/prove.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { codeOf } from "../support/code-of.ts";
import {
  COSE_ISSUER,
  coseLeaf,
  coseSigners,
  coseTree,
  makeReceipt,
  resignSign1,
  rewriteSign1,
} from "../support/cose.ts";
import { bytePrefixes, oneByteChanges } from "../support/each-byte.ts";
import { sampled } from "../support/sweep.ts";

const signer = coseSigners.ed25519;
const expected = { key: signer.publicKey, issuer: COSE_ISSUER, subject: "urn:example:artifact:5" };
const rootOf = (size: number): RootHash => coseTree.roots[size] ?? asRootHash(coseLeaf(0));
const receipt = await makeReceipt(5, 12);
const codeOfReceipt = (bytes: Uint8Array, want = expected): string =>
  codeOf(() => checkInclusionReceipt(bytes, coseLeaf(5), want));
/** Signed again by the log over the true root, with other headers. */
const resigned = (
  change: (header: Map<CborKey, CborValue>, unprotected: Map<CborKey, CborValue>) => void,
): Uint8Array => resignSign1(receipt, rootOf(12), signer, change);
const claimsOf = (...members: readonly (readonly [bigint, CborValue])[]): CborValue =>
  new Map<CborKey, CborValue>(members);
const proofs = (kind: bigint, ...list: readonly CborValue[]): CborValue => new Map<CborKey, CborValue>([[kind, list]]);
const withProofs = (value: CborValue): Uint8Array =>
  rewriteSign1(receipt, () => ({ unprotectedHeader: new Map([[HEADER.vdp, value]]) }));

describe("a COSE receipt of inclusion", () => {
  it("is made and accepted for every index of every size from 2 to 12, with both algorithms", async () => {
    for (const by of Object.values(coseSigners)) {
      for (let size = 2; size <= 12; size += 1) {
        for (let index = 0; index < size; index += 1) {
          const bytes = await makeReceipt(index, size, by);
          const checked = checkInclusionReceipt(bytes, coseLeaf(index), { key: by.publicKey, issuer: COSE_ISSUER });
          expect([checked.size, checked.index, checked.isSizeSigned]).toEqual([BigInt(size), BigInt(index), true]);
          expect(checked.root).toEqual(rootOf(size));
        }
      }
    }
  });

  it("is read in parts without being verified", () => {
    const parsed = parseInclusionReceipt(receipt);
    expect(parsed).toMatchObject({ alg: -8n, issuer: COSE_ISSUER, subject: "urn:example:artifact:5", treeSize: 12n });
    expect([parsed.size, parsed.index, parsed.path.length, parsed.kid?.length]).toEqual([12n, 5n, 4, 32]);
  });

  it("refuses every changed bit, every lost byte and every truncation", () => {
    for (const changed of sampled(oneByteChanges(receipt), 5)) expect(codeOfReceipt(changed)).not.toBe("accepted");
    for (const prefix of bytePrefixes(receipt)) expect(codeOfReceipt(prefix)).toBe("ERR_CBOR_SYNTAX");
  });

  it("refuses every changed bit of an ES256 receipt", async () => {
    const bytes = await makeReceipt(5, 12, coseSigners.es256);
    const want = { key: coseSigners.es256.publicKey, issuer: COSE_ISSUER };
    for (const changed of sampled(oneByteChanges(bytes), 5)) {
      expect(codeOf(() => checkInclusionReceipt(changed, coseLeaf(5), want))).not.toBe("accepted");
    }
  });

  it("is refused for another leaf, key, algorithm, issuer or subject", () => {
    expect(codeOf(() => checkInclusionReceipt(receipt, coseLeaf(6), expected))).toBe("ERR_COSE_SIGNATURE");
    const other = createSigner("ed25519", new Uint8Array(32).fill(9)).publicKey;
    expect(codeOfReceipt(receipt, { ...expected, key: other })).toBe("ERR_COSE_SIGNATURE");
    expect(codeOfReceipt(receipt, { ...expected, key: coseSigners.es256.publicKey })).toBe("ERR_COSE_ALG");
    expect(codeOfReceipt(receipt, { ...expected, issuer: "https://other.example" })).toBe("ERR_COSE_CLAIM");
    expect(codeOfReceipt(receipt, { ...expected, subject: "urn:example:artifact:6" })).toBe("ERR_COSE_CLAIM");
  });
});

describe("the traps of COSE receipts", () => {
  it("reads vds from the protected header only, and refuses it in the other, alone or twice", () => {
    const moved = (header: Map<CborKey, CborValue>, unprotected: Map<CborKey, CborValue>): void => {
      header.delete(HEADER.vds);
      unprotected.set(HEADER.vds, 1n);
    };
    expect(codeOfReceipt(resigned(moved))).toBe("ERR_COSE_HEADER");
    expect(codeOfReceipt(resigned((_, unprotected) => void unprotected.set(HEADER.vds, 1n)))).toBe("ERR_COSE_HEADER");
    expect(codeOfReceipt(resigned((header) => void header.delete(HEADER.vds)))).toBe("ERR_COSE_HEADER");
  });

  it("refuses other verifiable data structures", () => {
    expect(codeOfReceipt(resigned((header) => void header.set(HEADER.vds, 2n)))).toBe("ERR_COSE_VDS");
    expect(codeOfReceipt(resigned((header) => void header.set(HEADER.vds, "1")))).toBe("ERR_COSE_HEADER");
  });

  it("compares the signed tree size with that of the proof", () => {
    const claims = claimsOf([CLAIM.issuer, COSE_ISSUER], [CLAIM.treeSize, 13n]);
    expect(codeOfReceipt(resigned((header) => void header.set(HEADER.cwtClaims, claims)))).toBe("ERR_COSE_CLAIM");
  });

  it("accepts a receipt without claims, and says that its tree size is not signed", () => {
    const bare = resigned((header) => void header.delete(HEADER.cwtClaims));
    const checked = checkInclusionReceipt(bare, coseLeaf(5), expected);
    expect([checked.isSizeSigned, checked.issuer]).toEqual([false, undefined]);
  });

  it("shows why: without the signed size, the same root passes under another size and index", async () => {
    // A tree of 3 leaves has the path (leaf 2; node 0..1) that a tree of 2 leaves would give its leaf 1.
    const proof = await proveInclusion(2n, 3n, coseTree.reader);
    const content = { leaf: coseLeaf(2), index: 2n, size: 3n, proof, issuer: COSE_ISSUER };
    const honest = signInclusionReceipt(content, signer);
    const lie = formatCbor([2n, 1n, proof]);
    const change = new Map<CborKey, CborValue>([[HEADER.vdp, proofs(-1n, lie)]]);
    const signedSize = rewriteSign1(honest, () => ({ unprotectedHeader: change }));
    expect(codeOf(() => checkInclusionReceipt(signedSize, coseLeaf(2), expected))).toBe("ERR_COSE_CLAIM");
    const bare = resignSign1(honest, rootOf(3), signer, (header, unprotected) => {
      header.delete(HEADER.cwtClaims);
      unprotected.set(HEADER.vdp, proofs(-1n, lie));
    });
    expect(checkInclusionReceipt(bare, coseLeaf(2), expected)).toMatchObject({ size: 2n, isSizeSigned: false });
  });

  it("neither makes nor takes a receipt of a tree of one leaf", () => {
    const content = { leaf: coseLeaf(0), index: 0n, size: 1n, proof: [], issuer: COSE_ISSUER };
    expect(codeOf(() => signInclusionReceipt(content, signer))).toBe("ERR_SIZE_RANGE");
    expect(codeOfReceipt(withProofs(proofs(-1n, formatCbor([1n, 0n, []]))))).toBe("ERR_COSE_STRUCTURE");
  });

  it("takes an attached payload only if it is the root", () => {
    expect(codeOfReceipt(rewriteSign1(receipt, () => ({ payload: rootOf(12) })))).toBe("accepted");
    expect(codeOfReceipt(rewriteSign1(receipt, () => ({ payload: rootOf(11) })))).toBe("ERR_COSE_PAYLOAD");
    expect(codeOfReceipt(rewriteSign1(receipt, () => ({ payload: new Uint8Array(0) })))).toBe("ERR_COSE_PAYLOAD");
  });

  it("takes one proof of its kind, in the unprotected header", () => {
    const { path } = parseInclusionReceipt(receipt);
    const proof = formatCbor([12n, 5n, path]);
    expect(codeOfReceipt(withProofs(proofs(-1n, proof)))).toBe("accepted");
    expect(codeOfReceipt(withProofs(proofs(-1n, proof, proof)))).toBe("ERR_COSE_HEADER");
    expect(codeOfReceipt(withProofs(proofs(-1n)))).toBe("ERR_COSE_HEADER");
    expect(codeOfReceipt(withProofs(proofs(-2n, proof)))).toBe("ERR_COSE_HEADER");
    expect(codeOfReceipt(withProofs(null))).toBe("ERR_COSE_HEADER");
    expect(codeOfReceipt(rewriteSign1(receipt, () => ({ unprotectedHeader: new Map() })))).toBe("ERR_COSE_HEADER");
    const inProtected = (header: Map<CborKey, CborValue>, unprotected: Map<CborKey, CborValue>): void => {
      header.set(HEADER.vdp, proofs(-1n, proof));
      unprotected.clear();
    };
    expect(codeOfReceipt(resigned(inProtected))).toBe("ERR_COSE_HEADER");
  });

  it.each<[string, CborValue, string]>([
    ["a short path", [12n, 5n, [new Uint8Array(32)]], "ERR_PROOF_LENGTH"],
    ["a path that is too long", [12n, 5n, Array.from({ length: 5 }, () => new Uint8Array(32))], "ERR_PROOF_LENGTH"],
    ["a path of 66 hashes", [12n, 5n, Array.from({ length: 66 }, () => new Uint8Array(32))], "ERR_COSE_STRUCTURE"],
    ["a hash of 31 bytes", [12n, 5n, [new Uint8Array(31)]], "ERR_HASH_LENGTH"],
    ["a hash that is text", [12n, 5n, ["x"]], "ERR_COSE_STRUCTURE"],
    ["an index at the size", [12n, 12n, [new Uint8Array(32)]], "ERR_INDEX_RANGE"],
    ["a negative index", [12n, -1n, [new Uint8Array(32)]], "ERR_COSE_STRUCTURE"],
    ["a size that is text", ["12", 5n, [new Uint8Array(32)]], "ERR_COSE_STRUCTURE"],
    ["a fourth item", [12n, 5n, [new Uint8Array(32)], 0n], "ERR_COSE_STRUCTURE"],
    ["a map", new Map(), "ERR_COSE_STRUCTURE"],
  ])("refuses a proof with %s", (_, proof, code) => {
    expect(codeOfReceipt(withProofs(proofs(-1n, formatCbor(proof))))).toBe(code);
  });

  it("refuses a proof in CBOR that is not deterministic", () => {
    expect(codeOfReceipt(withProofs(proofs(-1n, parseHex("83180c05815820".concat("00".repeat(32))))))).toBe(
      "ERR_CBOR_DETERMINISTIC",
    );
  });

  it("refuses critical parameters that it does not know, and takes those that it does", () => {
    const critical = (...labels: readonly CborValue[]): string =>
      codeOfReceipt(resigned((header) => void header.set(HEADER.crit, labels)));
    expect(critical(395n, 15n)).toBe("accepted");
    expect(critical(77n)).toBe("ERR_COSE_HEADER");
    expect(critical(3n)).toBe("ERR_COSE_HEADER");
    expect(critical()).toBe("ERR_COSE_HEADER");
  });

  it("refuses a label in both headers, and an algorithm in the unprotected one", () => {
    expect(codeOfReceipt(resigned((_, unprotected) => void unprotected.set(HEADER.kid, new Uint8Array(4))))).toBe(
      "ERR_COSE_HEADER",
    );
    const moved = (header: Map<CborKey, CborValue>, unprotected: Map<CborKey, CborValue>): void => {
      header.delete(HEADER.alg);
      unprotected.set(HEADER.alg, -8n);
    };
    expect(codeOfReceipt(resigned(moved))).toBe("ERR_COSE_HEADER");
  });

  it("takes the fully specified algorithm numbers", () => {
    expect(codeOfReceipt(resigned((header) => void header.set(HEADER.alg, -19n)))).toBe("accepted");
    expect(codeOfReceipt(resigned((header) => void header.set(HEADER.alg, -35n)))).toBe("ERR_COSE_ALG");
  });

  it("refuses a receipt without its tag, and under another", () => {
    expect(codeOfReceipt(receipt.subarray(1))).toBe("ERR_COSE_STRUCTURE");
    expect(codeOfReceipt(Uint8Array.of(0xd1, ...receipt.subarray(1)))).toBe("ERR_COSE_STRUCTURE");
  });
});

describe("a COSE receipt of consistency", () => {
  const make = async (oldSize: number, size: number): Promise<Uint8Array> => {
    const proof = await proveConsistency(BigInt(oldSize), BigInt(size), coseTree.reader);
    const path = { oldSize: BigInt(oldSize), oldRoot: rootOf(oldSize), size: BigInt(size), proof };
    return signConsistencyReceipt({ ...path, issuer: COSE_ISSUER }, signer);
  };

  it("is made and accepted for every pair of sizes up to 12", async () => {
    for (let size = 2; size <= 12; size += 1) {
      for (let oldSize = 1; oldSize < size; oldSize += 1) {
        const known = { size: BigInt(oldSize), root: rootOf(oldSize) };
        const checked = checkConsistencyReceipt(await make(oldSize, size), known, expected);
        expect(checked).toEqual({ size: BigInt(size), root: rootOf(size), isSizeSigned: true });
      }
    }
  });

  it("refuses every changed bit, another known tree, another key and equal sizes", async () => {
    const bytes = await make(5, 12);
    const known = { size: 5n, root: rootOf(5) };
    const check = (changed: Uint8Array, tree = known): string =>
      codeOf(() => checkConsistencyReceipt(changed, tree, expected));
    expect(check(bytes)).toBe("accepted");
    for (const changed of sampled(oneByteChanges(bytes), 5)) expect(check(changed)).not.toBe("accepted");
    expect(check(bytes, { size: 5n, root: rootOf(6) })).toBe("ERR_OLD_ROOT_MISMATCH");
    expect(check(bytes, { size: 6n, root: rootOf(6) })).toBe("ERR_SIZE_RANGE");
    await expect(make(5, 5)).rejects.toMatchObject({ code: "ERR_SIZE_RANGE" });
    expect(check(receipt)).toBe("ERR_COSE_HEADER");
  });
});
