/** No byte of a bundle can be changed or cut off unseen; and with the digest made anew, no byte that is authenticated. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BundleContent, type BundleEntry, formatBundle } from "../../kernel/bundle.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import { parseNodeHash } from "../../kernel/merkle/hash.ts";
import type { ObligationId } from "../../kernel/obligation.ts";
import { parseTrustPolicy } from "../../kernel/trust-policy.ts";
import { damagedValues } from "../support/damaged-values.ts";
import { beat, type Evidence, exitOf, makeEvidence, verify } from "../support/evidence.ts";
import { sampled, sweepSize } from "../support/sweep.ts";

/** What a stream without a call can be held to. */
const SMALL: readonly ObligationId[] = [
  "bundle.digest",
  "log.signature",
  "log.quorum",
  "log.inclusion",
  "receipt.signature",
  "receipt.issuer",
  "stream.continuity",
  "time.window",
];

/** What a receipt with its proof can be held to without its stream. */
const SIGNED: readonly ObligationId[] = SMALL.slice(0, 6);

const honest = await makeEvidence();
/** One receipt with its log proof: the least that can be shown. */
const tiny = await makeEvidence({
  steps: [],
  shown: (place) => place === 1,
  windows: [],
  policies: [],
  catalogs: [],
  trust: { require: SMALL.slice(0, 5) },
});
const small = await makeEvidence({ steps: [beat], policies: [], catalogs: [], trust: { require: SMALL } });

const exitWith = ({ content, trust }: Evidence, change: Partial<BundleContent>): number =>
  exitOf(formatBundle({ ...content, ...change }), trust);

describe("a bundle file", () => {
  it("passes as it is", () => {
    for (const evidence of [honest, small, tiny]) expect(exitOf(evidence.bytes, evidence.trust)).toBe(0);
  });

  it("does not pass with any one byte changed", { timeout: 60_000 }, () => {
    const { bytes, trust } = tiny;
    const unseen = sampled(bytes.keys(), 5).filter((at) => exitOf(bytes.with(at, (bytes[at] ?? 0) ^ 1), trust) === 0);
    expect(unseen).toEqual([]);
    expect(bytes.length).toBeGreaterThan(1500);
  });

  it("does not pass with any one to three bytes changed, wherever", () => {
    const { bytes, trust } = honest;
    const edit = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }));
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
        const changed = bytes.slice();
        for (const [at, mask] of edits) changed[at] = (changed[at] ?? 0) ^ mask;
        fc.pre(!Buffer.from(changed).equals(Buffer.from(bytes)));
        return exitOf(changed, trust) !== 0;
      }),
      { numRuns: 100 },
    );
  });

  it("does not pass cut off anywhere, nor with anything behind it", () => {
    const { bytes, trust } = small;
    const passing = sampled(bytes.keys(), 3).filter((length) => exitOf(bytes.slice(0, length), trust) !== 3);
    expect(passing).toEqual([]);
    for (const more of ["\n", " ", "{}", "\u0000"]) {
      expect(exitOf(new Uint8Array(Buffer.concat([bytes, Buffer.from(more)])), trust)).toBe(3);
    }
  });
});

describe("with the digest made anew", () => {
  it("no member of an entry can be changed, removed or added", () => {
    const [log] = honest.content.logs;
    const [registration, open] = log?.entries ?? [];
    if (log === undefined || registration === undefined || open === undefined) throw new Error("a log");
    const trust = parseTrustPolicy({ ...honest.trustJson, require: SIGNED });
    // Each entry alone with what certifies its key: as many signatures as it takes, and no more.
    const exitOfEntries = (entries: readonly BundleEntry[]): number => {
      const content = { ...honest.content, streams: [], policies: [], catalogs: [], logs: [{ ...log, entries }] };
      return exitOf(formatBundle(content), trust);
    };
    let tried = 0;
    for (const [i, entry] of log.entries.entries()) {
      const shown = (entry: BundleEntry): readonly BundleEntry[] => {
        return i < 2 ? [registration, open].with(i, entry) : [registration, open, entry];
      };
      expect(exitOfEntries(shown(entry))).toBe(0);
      for (const other of sampled(damagedValues(entry.entry), 5, i)) {
        if (!isJsonObject(other)) throw new Error("an entry");
        tried += 1;
        if (exitOfEntries(shown({ ...entry, entry: other })) === 0) expect(other).toEqual("refused");
      }
    }
    expect(tried).toBeGreaterThan(sweepSize(200, 1000));
  });

  it("no index and no hash of a proof can be changed, removed or added", () => {
    const [log] = small.content.logs;
    if (log === undefined) throw new Error("a log");
    for (const [i, entry] of log.entries.entries()) {
      const proofs = entry.proof.flatMap((hash, at) =>
        [0, 15, 31].map((byte) => entry.proof.with(at, parseNodeHash(hash.with(byte, (hash[byte] ?? 0) ^ 1)))),
      );
      const [first] = entry.proof;
      const others = [...proofs, entry.proof.slice(1), entry.proof.slice(0, -1), [...entry.proof, ...entry.proof]];
      if (first !== undefined) others.push([...entry.proof, first], entry.proof.toReversed());
      for (const proof of others) {
        expect(exitWith(small, { logs: [{ ...log, entries: log.entries.with(i, { ...entry, proof }) }] })).not.toBe(0);
      }
    }
    for (const shift of [1, 2]) {
      const entries = log.entries.map((entry) => ({ ...entry, index: entry.index + shift }));
      expect(exitWith(small, { logs: [{ ...log, entries }] })).not.toBe(0);
    }
  });

  it("no character of a checkpoint can be changed", () => {
    const [log] = tiny.content.logs;
    if (log === undefined) throw new Error("a log");
    const { checkpoint } = log;
    for (const at of sampled(Array.from(checkpoint).keys(), 3)) {
      const other = String.fromCharCode(checkpoint.charCodeAt(at) ^ 1);
      const text = `${checkpoint.slice(0, at)}${other}${checkpoint.slice(at + 1)}`;
      const found = exitWith(tiny, { logs: [{ ...log, checkpoint: text }] });
      if (found === 0) expect(text).toBe("refused");
    }
  });

  it("no window, policy or catalog can be changed, removed or added", () => {
    const lists = ["streams", "policies", "catalogs"] as const;
    // A window that claims less, and a catalog that is not disclosed at all: true statements, only smaller ones.
    const [window] = honest.content.streams;
    const WEAKER = { streams: [{ ...window, first_seq: 1 }], policies: undefined, catalogs: [] };
    for (const name of lists) {
      for (const other of damagedValues(honest.content[name])) {
        const exit = exitWith(honest, { [name]: other });
        if (exit === 0) expect(other).toEqual(WEAKER[name]);
      }
    }
  });

  it("only the time at which the bundle was made is its maker's word", () => {
    expect(exitWith(honest, { created: small.receipts[0]?.receipt.time ?? honest.content.created })).toBe(0);
  });

  it("no entry can be left out", () => {
    const [log] = honest.content.logs;
    if (log === undefined) throw new Error("a log");
    const selection = fc.subarray([...log.entries], { maxLength: log.entries.length - 1 });
    fc.assert(
      fc.property(selection, (entries) => exitWith(honest, { logs: [{ ...log, entries }] }) !== 0),
      { numRuns: 30, examples: log.entries.map((_, i) => [log.entries.toSpliced(i, 1)]) },
    );
  });
});

describe("the same input", () => {
  it("gives the same verdicts again, and they survive as JSON", () => {
    const once = verify(honest);
    expect(verify(honest)).toEqual(once);
    expect(JSON.parse(JSON.stringify(once))).toEqual(once);
  });
});
