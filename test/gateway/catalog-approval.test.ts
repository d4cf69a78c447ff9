import { describe, expect, it } from "vitest";
import { checkApproval, checkSuccession, refusalReason } from "../../gateway/catalog/catalog-approval.ts";
import { type CatalogOverride, parseRevisedCatalog } from "../../gateway/catalog/catalog-file.ts";
import { digestOf } from "../../gateway/catalog/digests.ts";
import { signCatalog } from "../../gateway/catalog/proposal.ts";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { codeOf } from "../support/code-of.ts";
import { bytePrefixes, oneByteChanges } from "../support/each-byte.ts";
import { makeFakeUpstream } from "../support/fake-upstream.ts";
import { ALICE, BOB, CAROL, MALLORY, proposal, signedBy, TWO_OF_THREE } from "../support/signed-catalog.ts";
import { sampled } from "../support/sweep.ts";

const approvers = (bytes: Uint8Array): readonly string[] => checkApproval(parseRevisedCatalog(bytes), TWO_OF_THREE);
const one = [{ name: "t", inputSchema: { type: "object" } }];
const file = await proposal([makeFakeUpstream("s", one)]);

describe("a signed catalog", () => {
  it("is approved by two of the three pinned keys, in any order, and by all three", () => {
    expect(approvers(signedBy(file, BOB, ALICE))).toEqual(["alice", "bob"]);
    expect(approvers(signedBy(file, CAROL, ALICE, BOB))).toEqual(["alice", "bob", "carol"]);
  });

  it("is refused unsigned, below the threshold, and with a signature of a key that is not pinned beside enough others", () => {
    expect(codeOf(() => approvers(signedBy(file)))).toBe("ERR_CATALOG_UNSIGNED");
    expect(codeOf(() => approvers(signedBy(file, ALICE)))).toBe("ERR_CATALOG_THRESHOLD");
    expect(codeOf(() => approvers(signedBy(file, ALICE, BOB, MALLORY)))).toBe("ERR_CATALOG_UNSIGNED");
  });

  it("counts a key once", () => {
    const once = parseRevisedCatalog(signedBy(file, ALICE));
    expect(codeOf(() => signCatalog(once, ALICE.signer))).toBe("ERR_CATALOG");
    const [signature] = once.signatures;
    const twice = JSON.stringify({ ...file, signatures: [signature, signature] });
    expect(codeOf(() => parseRevisedCatalog(new TextEncoder().encode(twice)))).toMatch(/ERR_SHAPE|ERR_JSON_CANONICAL/u);
  });

  it("is refused with any byte changed or removed, and cut anywhere", () => {
    const bytes = signedBy(file, ALICE, BOB);
    for (const changed of sampled([...oneByteChanges(bytes), ...bytePrefixes(bytes)], 13)) {
      if (codeOf(() => approvers(changed)) === "accepted") expect.unreachable(parseUtf8(changed));
    }
  });

  it("is refused with white space around it, and spelt in another way", () => {
    const text = parseUtf8(signedBy(file, ALICE, BOB));
    for (const other of [`${text}\n`, ` ${text}`, JSON.stringify(JSON.parse(text), null, 1)]) {
      expect(codeOf(() => approvers(new TextEncoder().encode(other)))).toBe("ERR_JSON_CANONICAL");
    }
  });

  it("holds overrides by those who sign it and by nobody else", () => {
    const override = (approver: string): CatalogOverride => {
      const where = { server: "s", list: "tools", name: "t" } as const;
      return { ...where, finding: "inj.markup", approver, reason: "a word of the product" };
    };
    const overridden = signCatalog({ file, signatures: [] }, ALICE.signer, [override("alice")]);
    const both = signCatalog(overridden, BOB.signer);
    expect(checkApproval(both, TWO_OF_THREE)).toEqual(["alice", "bob"]);
    expect(digestOf(both.file)).not.toBe(digestOf(file));
    expect(codeOf(() => signCatalog(overridden, BOB.signer, [override("bob")]))).toBe("ERR_CATALOG");
    const stolen = signCatalog({ file, signatures: [] }, ALICE.signer, [override("carol")]);
    expect(codeOf(() => checkApproval(signCatalog(stolen, BOB.signer), TWO_OF_THREE))).toBe("ERR_CATALOG_UNSIGNED");
  });
});

describe("a catalog that replaces another", () => {
  const next = { ...file, version: 2, previous: digestOf(file) };
  const floor = { version: 1, digest: digestOf(file) };

  it("may be the same one, the next one that names it, or a later one", () => {
    for (const follower of [file, next, { ...next, version: 7, previous: digestOf(next) }]) {
      expect(codeOf(() => checkSuccession({ file: follower }, floor))).toBe("accepted");
    }
  });

  it("may not be older, of the same version with other content, or the next one of another", () => {
    const two = { version: 2, digest: digestOf(next) };
    expect(codeOf(() => checkSuccession({ file }, two))).toBe("ERR_CATALOG_VERSION");
    expect(codeOf(() => checkSuccession({ file: { ...next, previous: null } }, two))).toBe("ERR_CATALOG_VERSION");
    expect(codeOf(() => checkSuccession({ file: { ...next, previous: null } }, floor))).toBe("ERR_CATALOG_PREVIOUS");
  });

  it("is refused for a reason that receipts know", () => {
    expect(refusalReason(new Error("anything"))).toBe("catalog.invalid");
  });
});
