/** Promises of a log, and what proves that one was kept or broken. */

import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatCheckpoint, parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { hashLeaf, type LeafHash, parseRootHash } from "../../kernel/merkle/hash.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import {
  checkBatchPromise,
  checkLeafPromise,
  formatLeafPromise,
  type LeafPromise,
  MAX_PROMISE_LEAVES,
  parseLeafPromise,
  readBatchPromise,
} from "../../kernel/promise.ts";
import { appraisePromise, type PromiseEvidence, type PromiseVerdict } from "../../kernel/promise-breach.ts";
import { signEnvelope, signingInput } from "../../kernel/signature/envelope.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { parseWitnessPolicy, type WitnessPolicy } from "../../kernel/witness-policy.ts";
import { codeOf } from "../support/code-of.ts";
import { oneCharacterChanges, truncations } from "../support/each-damage.ts";
import { logMlDsaSigner, logSigner, ORIGIN, policyText, seedOf } from "../support/log-keys.ts";
import { makeMemoryTree } from "../support/memory-tree.ts";
import { cosignedNote, leavesOf, promiseOf, promiseSigner, proofEvidence } from "../support/promises.ts";

const leaves = leavesOf(20);
const KEYS = [logSigner.key, logMlDsaSigner.key];
const policy = parseWitnessPolicy(policyText(2));
const leafAt = (index: number): LeafHash => leaves[index] ?? hashLeaf(new Uint8Array());
const check = (promise: LeafPromise, leaf: LeafHash, keys = KEYS) =>
  codeOf(() => checkLeafPromise(promise, leaf, keys));

describe("a promise", () => {
  it("is of every leaf of its batch, at its index, whatever the batch's size", () => {
    for (let end = 6; end <= leaves.length; end += 1) {
      for (let index = 5; index < end; index += 1) {
        const promise = promiseOf(leaves, [5, end], index);
        expect(promise.index).toBe(index);
        const bytes = formatLeafPromise(promise);
        expect(parseLeafPromise(bytes)).toEqual(promise);
        expect(check(parseLeafPromise(bytes), leafAt(index))).toBe("accepted");
      }
    }
  });

  it("is of no other leaf, index, path or log", () => {
    const promise = promiseOf(leaves, [5, 12], 7);
    expect(check(promise, leafAt(8))).toBe("ERR_PROMISE_LEAF");
    for (const index of [4, 6, 8, 11, 12, 5, 0, Number.MAX_SAFE_INTEGER]) {
      expect(check({ ...promise, index }, leafAt(7))).toBe("ERR_PROMISE_LEAF");
    }
    const { path } = promise;
    expect(check({ ...promise, path: path.slice(1) }, leafAt(7))).toBe("ERR_PROMISE_LEAF");
    expect(check({ ...promise, path: [...path, path[0] ?? ""] }, leafAt(7))).toBe("ERR_PROMISE_LEAF");
    expect(check({ ...promise, path: path.toReversed() }, leafAt(7))).toBe("ERR_PROMISE_LEAF");
    expect(check(promise, leafAt(7), [])).toBe("ERR_ORIGIN");
    expect(check(promise, leafAt(7), [logMlDsaSigner.key])).toBe("ERR_ORIGIN");
    expect(check(promise, leafAt(7), [makeLogSigner("log.example/other", seedOf(1)).key])).toBe("ERR_ORIGIN");
    expect(check(promise, leafAt(7), [makeLogSigner(ORIGIN, seedOf(9)).key])).toBe("ERR_SIGNATURE_MISSING");
    expect(check(promise, leafAt(7), [makeLogSigner(ORIGIN, seedOf(9)).key, ...KEYS])).toBe("accepted");
  });

  it("has the log's signature and no other", () => {
    const promise = promiseOf(leaves, [5, 12], 7);
    const signedBy = (...signers: Parameters<typeof signEnvelope>[1]): LeafPromise => ({
      ...promise,
      promise: signEnvelope(promise.promise, signers),
    });
    const stranger = createSigner("ed25519", seedOf(77));
    expect(check(signedBy(promiseSigner), leafAt(7))).toBe("accepted");
    expect(check(signedBy(stranger), leafAt(7))).toBe("ERR_SIGNATURE_MISSING");
    expect(check(signedBy(promiseSigner, stranger), leafAt(7))).toBe("ERR_SIGNATURE_INVALID");
    const other = { ...promise, promise: { ...promise.promise, first_index: 6 }, index: 8 };
    expect(check(other, leafAt(7))).toBe("ERR_SIGNATURE_INVALID");
  });

  it("is signed over what no checkpoint can be, whatever the log is called", () => {
    const { promise } = promiseOf(leaves, [5, 12], 7);
    const input = signingInput(promise.kind, "ed25519", promise);
    const text = Buffer.from(input).toString("latin1");
    expect(text.split("\n").slice(0, 2)).toEqual(["countersign/promise/v1", "ed25519"]);
    for (const ending of ["", "\n"]) expect(codeOf(() => parseCheckpoint(text + ending))).not.toBe("accepted");
    const named = { origin: "countersign/promise/v1", size: 1n, root: parseRootHash(leafAt(0)), extensions: [] };
    expect(formatCheckpoint(named).split("\n").slice(0, 2)).toEqual(["countersign/promise/v1", "1"]);
  });

  it("covers exactly the leaves of a batch, in order", () => {
    const { promise } = promiseOf(leaves, [5, 12], 7);
    const of = (batch: readonly LeafHash[]) => codeOf(() => checkBatchPromise(promise, batch, KEYS));
    expect(of(leaves.slice(5, 12))).toBe("accepted");
    expect(of(leaves.slice(5, 11))).toBe("ERR_PROMISE_LEAF");
    expect(of(leaves.slice(5, 13))).toBe("ERR_PROMISE_LEAF");
    expect(of(leaves.slice(5, 12).toReversed())).toBe("ERR_PROMISE_LEAF");
    expect(codeOf(() => checkBatchPromise(promise, leaves.slice(5, 12), []))).toBe("ERR_ORIGIN");
  });

  it("is refused with any one character changed, and cut anywhere", () => {
    const promise = promiseOf(leaves, [5, 8], 6);
    const text = new TextDecoder().decode(formatLeafPromise(promise));
    const refused = (damaged: string): boolean =>
      codeOf(() => checkLeafPromise(parseLeafPromise(formatUtf8(damaged)), leafAt(6), KEYS)) !== "accepted";
    for (const damaged of oneCharacterChanges(text, "0A")) expect([damaged, refused(damaged)]).toEqual([damaged, true]);
    for (const damaged of truncations(text)) expect(refused(damaged)).toBe(true);
  });

  it("has bounds that its form keeps", () => {
    const promise = promiseOf(leaves, [5, 12], 7);
    const read = (body: object) => codeOf(() => readBatchPromise({ ...promise.promise, ...body }));
    expect(read({})).toBe("accepted");
    expect(read({ count: 0 })).toBe("ERR_SHAPE");
    expect(read({ count: MAX_PROMISE_LEAVES })).toBe("accepted");
    expect(read({ count: MAX_PROMISE_LEAVES + 1 })).toBe("ERR_SHAPE");
    expect(read({ first_index: Number.MAX_SAFE_INTEGER - 7 })).toBe("accepted");
    expect(read({ first_index: Number.MAX_SAFE_INTEGER })).toBe("ERR_SHAPE");
    expect(read({ note: "more" })).toBe("ERR_SHAPE");
    const long = { ...promise, path: Array.from({ length: 21 }, () => promise.promise.root) };
    expect(codeOf(() => parseLeafPromise(canonicalBytes(long)))).toBe("ERR_SHAPE");
  });
});

describe("the appraisal of a promise", () => {
  const promise = promiseOf(leaves, [5, 12], 7);
  const leaf = leafAt(7);
  const others = leaves.with(7, hashLeaf(formatUtf8("something else")));
  const tree = makeMemoryTree(leaves);
  const noteOf = (size: number, times: readonly number[]): PromiseEvidence => {
    const root = tree.roots[size];
    if (root === undefined) throw new Error("no such size");
    return { type: "checkpoint", note: cosignedNote(size, root, times) };
  };
  const appraise = (...evidence: readonly PromiseEvidence[]): PromiseVerdict =>
    appraisePromise({ promise, leaf, evidence, policy });
  const codes = (verdict: PromiseVerdict): readonly string[] =>
    verdict.verdict === "pass" ? ["pass"] : [verdict.verdict, verdict.code];

  it("is a pass once the leaf is at its index in a witnessed tree, and only in one", async () => {
    expect(codes(appraise(await proofEvidence(leaves, 7, [-5, -5])))).toEqual(["pass"]);
    expect(codes(appraise(await proofEvidence(leaves, 7, [500, 500, 500])))).toEqual(["pass"]);
    expect(codes(appraise(await proofEvidence(leaves, 7, [-5])))).toEqual(["not_established", "ERR_QUORUM"]);
    expect(codes(appraise(await proofEvidence(leaves, 7, [])))).toEqual(["not_established", "ERR_QUORUM"]);
  });

  it("is a fail when another leaf is at the index, also in a tree that no witness saw", async () => {
    const fail = ["fail", "ERR_PROMISE_BROKEN"];
    expect(codes(appraise(await proofEvidence(others, 7, [])))).toEqual(fail);
    expect(codes(appraise(await proofEvidence(others, 7, [1, 1])))).toEqual(fail);
    expect(codes(appraise(await proofEvidence(leaves, 7, [1, 1]), await proofEvidence(others, 7, [])))).toEqual(fail);
  });

  it("is no fail by a proof that does not hold: one of another index, another leaf, another log's signature", async () => {
    const [honest, rival] = [await proofEvidence(leaves, 7, [1, 1]), await proofEvidence(others, 7, [])];
    expect(codes(appraise({ ...honest, leaf: rival.leaf }))).toEqual(["not_established", "ERR_ROOT_MISMATCH"]);
    expect(codes(appraise(await proofEvidence(leaves, 8, [1, 1])))).toEqual(["not_established", "ERR_PROMISE_OPEN"]);
    const renamed = { ...honest, proof: { ...honest.proof, index: 8n } };
    expect(codes(appraise({ ...renamed, leaf: leafAt(8) }))).toEqual(["not_established", "ERR_ROOT_MISMATCH"]);
    const unsigned = {
      ...rival.proof,
      checkpoint: rival.proof.checkpoint.replace(/\n— log.*\n/u, "\n— log.example/test AAAAAAAA\n"),
    };
    expect(codes(appraise({ ...rival, proof: unsigned }))[0]).toBe("not_established");
    const foreign = { ...rival.proof, checkpoint: rival.proof.checkpoint.replace(ORIGIN, "log.example/them") };
    expect(codes(appraise({ ...rival, proof: foreign }))).toEqual(["not_established", "ERR_ORIGIN"]);
  });

  it("is a fail when a quorum cosigned a tree without the index after the deadline", () => {
    const late = ["fail", "ERR_PROMISE_LATE"];
    const open = ["not_established", "ERR_PROMISE_OPEN"];
    expect(codes(appraise(noteOf(7, [1, 1])))).toEqual(late);
    expect(codes(appraise(noteOf(1, [1, 999, 1])))).toEqual(late);
    // The deadline itself is in time; and one of the three is not the quorum.
    expect(codes(appraise(noteOf(7, [0, 0, 0])))).toEqual(open);
    expect(codes(appraise(noteOf(7, [1, 0, -100])))).toEqual(open);
    expect(codes(appraise(noteOf(7, [-1, -1])))).toEqual(open);
    expect(codes(appraise(noteOf(8, [1, 1, 1])))).toEqual(open);
    expect(codes(appraise(noteOf(7, [1])))).toEqual(["not_established", "ERR_QUORUM"]);
  });

  it("is a fail also if the leaf came in after all", async () => {
    const kept = await proofEvidence(leaves, 7, [500, 500]);
    expect(codes(appraise(kept, noteOf(7, [1, 1])))).toEqual(["fail", "ERR_PROMISE_LATE"]);
    expect(codes(appraise(noteOf(7, [0, 0]), kept))).toEqual(["pass"]);
  });

  it("convicts nobody by a policy that asks for no witness", () => {
    const none: WitnessPolicy = parseWitnessPolicy(policyText(2).replace("quorum g", "quorum none"));
    const verdict = appraisePromise({ promise, leaf, evidence: [noteOf(7, [1, 1, 1])], policy: none });
    expect(codes(verdict)).toEqual(["not_established", "ERR_PROMISE_OPEN"]);
  });

  it("is not established without evidence", () => {
    expect(codes(appraise())).toEqual(["not_established", "ERR_PROMISE_OPEN"]);
  });

  it("does not begin for what is no promise of a log of the policy, or cannot be read", () => {
    const appraiseCode = (changes: object): string =>
      codeOf(() => appraisePromise({ promise, leaf, evidence: [], policy, ...changes }));
    expect(appraiseCode({ leaf: leafAt(8) })).toBe("ERR_PROMISE_LEAF");
    const stranger = `log ${formatVerifierKey(makeLogSigner("log.example/other", seedOf(5)).key)}\nquorum none\n`;
    expect(appraiseCode({ policy: parseWitnessPolicy(stranger) })).toBe("ERR_ORIGIN");
    expect(appraiseCode({ evidence: [{ type: "checkpoint", note: "no note" }] })).toBe("ERR_NOTE");
  });
});
