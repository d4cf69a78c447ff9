/** What is tried against evidence, one attack a test: each is refused with its own code, and the exit is not zero. */

import { describe, expect, it } from "vitest";
import { type BundleContent, formatBundle } from "../../kernel/bundle.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { makeCosigner, makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import { parseHex } from "../../kernel/hex.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { parseNodeHash } from "../../kernel/merkle/hash.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { ABSENT, notEstablished, present } from "../../kernel/receipt/observed.ts";
import type { Effect, Status } from "../../kernel/receipt/vocabulary.ts";
import { signEnvelope } from "../../kernel/signature/envelope.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { parseTrustPolicy, type TrustPolicyJson } from "../../kernel/trust-policy.ts";
import type { VerificationResult } from "../../verifier/verify-bundle.ts";
import {
  beat,
  close,
  decide,
  denied,
  type Evidence,
  type EvidenceOptions,
  finish,
  LOADS,
  makeEvidence,
  ONE_AND_ONE,
  objectOf,
  openSession,
  POLICIES,
  registrationOf,
  START_MS,
  STORY,
  type Step,
  seal,
  signStream,
  trustOf,
  verify,
  WITNESSED,
  wordOf,
  wordsOf,
} from "../support/evidence.ts";
import { ORIGIN, policyText, seedOf, TIME, witnesses } from "../support/log-keys.ts";
import { gatewayKeys, hex64, receiptContents } from "../support/receipts.ts";

const keys = gatewayKeys();
const attacker = gatewayKeys(90);
const honest = await makeEvidence();
const otherLog = makeLogSigner("log.example/b", seedOf(77));
const [w1, w2] = witnesses;
if (w1 === undefined || w2 === undefined) throw new Error("two witnesses");

const made = async (options: EvidenceOptions): Promise<VerificationResult> => verify(await makeEvidence(options));

/** The verdicts about a bundle with another content, under the trust policy of the evidence. */
const changed = ({ content, trust }: Evidence, change: Partial<BundleContent>): VerificationResult =>
  verify({ bytes: formatBundle({ ...content, ...change }), trust });

/** The one log of the evidence with another checkpoint, or other entries. */
const log = ({ content }: Evidence, change: Partial<BundleContent["logs"][number]>): BundleContent["logs"] =>
  content.logs.map((each) => ({ ...each, ...change }));

const entriesOf = ({ content }: Evidence): BundleContent["logs"][number]["entries"] => content.logs[0]?.entries ?? [];

/** Replaces the body of the entry at `place` and, if signers are given, signs it again. */
const resign =
  (place: number, change: (body: JsonObject) => JsonObject, by = [keys.receipt]) =>
  (honestEntries: readonly Uint8Array[]): readonly Uint8Array[] =>
    honestEntries.map((bytes, i) => {
      const body = objectOf(bytes);
      const kind = String(body["kind"]);
      return i === place ? canonicalBytes(signEnvelope({ ...change(body), kind }, by)) : bytes;
    });

const underTrust = (evidence: Evidence, change: Partial<TrustPolicyJson>): VerificationResult =>
  verify({ bytes: evidence.bytes, trust: parseTrustPolicy({ ...evidence.trustJson, ...change }) });

describe("the log", () => {
  it("a wrong log key: ERR_LOG_SIGNATURE", async () => {
    const result = await made({ signer: makeLogSigner(ORIGIN, seedOf(99)) });
    expect([result.exit, wordOf(result, "log.signature")]).toEqual([1, "ERR_LOG_SIGNATURE"]);
    expect(wordOf(result, "log.inclusion")).toBe("log.unauthenticated");
    expect(wordOf(result, "receipt.issuer")).toBe("entry.unproven");
    expect(wordOf(result, "policy.allowed")).toBe("receipts.unauthenticated");
  });

  it("one witness instead of two: ERR_QUORUM", async () => {
    const result = await made({ cosigned: [{ by: w1 }] });
    expect([result.exit, result.verified, result.at]).toEqual([1, false, { source: "none" }]);
    expect(wordsOf(result)).toEqual({ "log.quorum": "ERR_QUORUM", "time.window": "time.no-witness" });
  });

  it("one witness twice: ERR_QUORUM", async () => {
    expect(wordOf(await made({ cosigned: [{ by: w1 }, { by: w1, at: TIME + 9n }] }), "log.quorum")).toBe("ERR_QUORUM");
  });

  it("witnesses that nobody pinned: ERR_QUORUM", async () => {
    const unknown = [7, 8].map((n) => ({ by: makeCosigner(`witness.example/${n}`, 0x04, seedOf(70 + n)) }));
    expect(wordOf(await made({ cosigned: [{ by: w1 }, ...unknown] }), "log.quorum")).toBe("ERR_QUORUM");
  });

  it("a cosignature that does not hold: ERR_NOTE_SIGNATURE", () => {
    const { checkpoint = "" } = honest.content.logs[0] ?? {};
    const lines = checkpoint.trimEnd().split("\n");
    const [last = "", before = ""] = [lines.at(-1), lines.at(-2)];
    const swapped = `${last.split(" ").slice(0, 2).join(" ")} ${last.split(" ")[2]?.slice(0, 20)}${before.split(" ")[2]?.slice(20)}`;
    const forged = `${[...lines.slice(0, -1), swapped].join("\n")}\n`;
    const result = changed(honest, { logs: log(honest, { checkpoint: forged }) });
    expect([result.exit, wordOf(result, "log.quorum")]).toEqual([1, "ERR_NOTE_SIGNATURE"]);
  });

  it("a log that asks for no witness establishes no quorum", async () => {
    const text = policyText(2).replace(/quorum g\n/u, "quorum none\n");
    const result = await made({ trust: { logs: [text] } });
    expect([result.exit, result.verified]).toEqual([2, false]);
    expect(wordsOf(result)).toEqual({ "log.quorum": "quorum.none", "time.window": "time.no-witness" });
  });

  it("entries of a foreign log: ERR_ORIGIN", async () => {
    const origin = "log.example/foreign";
    const result = await made({ origin, home: origin, signer: makeLogSigner(origin, seedOf(1)) });
    expect([result.exit, wordOf(result, "log.signature")]).toEqual([1, "ERR_ORIGIN"]);
  });

  it("a checkpoint of another log than the bundle says: ERR_ORIGIN", () => {
    const other = parseTrustPolicy({
      ...honest.trustJson,
      logs: [policyText(2), policyText(2).replace(/^log .*\n/u, `log ${formatVerifierKey(otherLog.key)}\n`)],
    });
    const logs = [...log(honest, {}), ...log(honest, { origin: "log.example/b" })].toSorted((a, b) =>
      a.origin < b.origin ? -1 : 1,
    );
    const result = verify({ bytes: formatBundle({ ...honest.content, logs }), trust: other });
    expect([result.exit, wordOf(result, "log.signature")]).toEqual([1, "ERR_ORIGIN"]);
  });

  it("a text that is no checkpoint: a fault, no exception", () => {
    for (const checkpoint of ["", "\n", "log.example/test\n", "—\n\n— x y\n"]) {
      const result = changed(honest, { logs: log(honest, { checkpoint }) });
      expect(result.exit).toBe(1);
      expect(wordOf(result, "log.inclusion")).toBe("ERR_CHECKPOINT");
    }
  });

  it("proofs of another tree: ERR_ROOT_MISMATCH", async () => {
    const other = await makeEvidence({ entries: (entries) => [...entries, formatUtf8('{"kind":"x"}')] });
    const { checkpoint } = other.content.logs[0] ?? { checkpoint: "" };
    const result = changed(honest, { logs: log(honest, { checkpoint }) });
    expect([result.exit, wordOf(result, "log.inclusion")]).toEqual([1, "ERR_ROOT_MISMATCH"]);
  });

  it("entries without proofs: ERR_PROOF_LENGTH", () => {
    const entries = entriesOf(honest).map((entry) => ({ ...entry, proof: [] }));
    const result = changed(honest, { logs: log(honest, { entries }) });
    expect([result.exit, wordOf(result, "log.inclusion")]).toEqual([1, "ERR_PROOF_LENGTH"]);
  });

  it("an index outside the tree: ERR_INDEX_RANGE", () => {
    const entries = entriesOf(honest).map((entry, i, all) => (i < all.length - 1 ? entry : { ...entry, index: 9999 }));
    expect(wordOf(changed(honest, { logs: log(honest, { entries }) }), "log.inclusion")).toBe("ERR_INDEX_RANGE");
  });

  it("a receipt that the submitter put under a tree of its own: no log signature, no quorum", async () => {
    const result = await made({ signer: makeLogSigner(ORIGIN, seedOf(66)), cosigned: [] });
    expect([result.exit, result.verified]).toEqual([1, false]);
  });

  it("a claimed log without a checkpoint of it: every proof is worthless", () => {
    const entries = entriesOf(honest);
    const logs = [{ origin: "local:0001", checkpoint: "anchored", entries }];
    expect(wordsOf(changed(honest, { logs }))).toMatchObject({
      "log.signature": "ERR_ORIGIN",
      "log.inclusion": "ERR_CHECKPOINT",
    });
  });
});

describe("the keys", () => {
  it("an attacker's key, in the same log: ERR_ISSUER", async () => {
    const result = await made({ keys: attacker, trust: { gateways: trustOf(honest.stream).gateways } });
    expect([result.exit, result.verified]).toEqual([1, false]);
    expect(wordOf(result, "receipt.issuer")).toBe("ERR_ISSUER");
    expect(wordOf(result, "mode.enforcing")).toBe("receipts.unauthenticated");
  });

  it("no pinned gateway: the issuer is not established, and nothing that receipts say passes", () => {
    const result = underTrust(honest, { gateways: [] });
    expect([result.exit, result.verified]).toEqual([2, false]);
    expect(wordsOf(result)).toEqual({
      "receipt.issuer": "gateways.none-pinned",
      ...Object.fromEntries(
        [
          "stream.continuity",
          "stream.coverage",
          "session.sealed",
          "call.outcome",
          "policy.allowed",
          "policy.files",
          "catalog.allowed",
          "mode.allowed",
          "mode.enforcing",
          "time.window",
        ].map((id) => [id, "receipts.unauthenticated"]),
      ),
    });
  });

  it("a receipt signed by the attacker's key: ERR_STREAM_KEY", async () => {
    const result = await made({ entries: resign(5, (body) => body, [attacker.receipt]) });
    expect([result.exit, wordOf(result, "receipt.signature")]).toEqual([1, "ERR_STREAM_KEY"]);
  });

  it("a receipt signed by a third key as well: ERR_STREAM_KEY", async () => {
    const result = await made({ entries: resign(5, (body) => body, [keys.receipt, attacker.receipt]) });
    expect(wordOf(result, "receipt.signature")).toBe("ERR_STREAM_KEY");
  });

  it("a changed receipt under the old signature: ERR_SIGNATURE_INVALID", async () => {
    const lift = (entries: readonly Uint8Array[]): readonly Uint8Array[] =>
      entries.map((bytes, i) => (i === 9 ? canonicalBytes({ ...objectOf(bytes), open_calls: 5 }) : bytes));
    const result = await made({ entries: lift });
    expect([result.exit, wordOf(result, "receipt.signature")]).toEqual([1, "ERR_SIGNATURE_INVALID"]);
  });

  it("a stream-open receipt whose certificate the attacker made: its keys certify nothing", async () => {
    const change = (body: JsonObject): JsonObject => ({
      ...body,
      receipt_key: receiptContents(attacker)["stream-open"].receipt_key,
    });
    const result = await made({ entries: resign(1, change, [attacker.instance, attacker.receipt]) });
    expect([result.exit, wordOf(result, "receipt.signature")]).toEqual([1, "ERR_STREAM_KEY"]);
  });

  it("registered with another receipt key: ERR_REGISTRATION_CONFLICT", async () => {
    const two = { instance: keys.instance, receipt: attacker.receipt };
    const result = await made({ entries: ([, ...rest]) => [registrationOf(two), ...rest] });
    expect([result.exit, wordOf(result, "receipt.issuer")]).toEqual([1, "ERR_REGISTRATION_CONFLICT"]);
  });

  it("registered with another log, or behind its receipts: ERR_STREAM_UNKNOWN", async () => {
    const elsewhere = await made({ entries: ([, ...rest]) => [registrationOf(keys, "log.example/else"), ...rest] });
    expect(wordOf(elsewhere, "receipt.issuer")).toBe("ERR_STREAM_UNKNOWN");
    const late = await made({ entries: ([first = new Uint8Array(0), ...rest]) => [...rest, first] });
    expect(wordOf(late, "receipt.issuer")).toBe("ERR_STREAM_UNKNOWN");
  });

  it("a forged registration: ERR_SIGNATURE_INVALID at the issuer", async () => {
    const forge = ([first = new Uint8Array(0), ...rest]: readonly Uint8Array[]): readonly Uint8Array[] => [
      canonicalBytes({ ...objectOf(first), label: "trusted" }),
      ...rest,
    ];
    expect(wordOf(await made({ entries: forge }), "receipt.issuer")).toBe("ERR_SIGNATURE_INVALID");
  });

  it("a registration with another pinned log does not count for this one", async () => {
    const origin = otherLog.key.name;
    const logs = [policyText(2), policyText(2).replace(/^log .*\n/u, `log ${formatVerifierKey(otherLog.key)}\n`)];
    const here = await makeEvidence({ shown: (place) => place !== 0, trust: { logs } });
    const there = await makeEvidence({ origin, home: origin, signer: otherLog, shown: (place) => place === 0 });
    const both = [...here.content.logs, ...there.content.logs].toSorted((a, b) => (a.origin < b.origin ? -1 : 1));
    const result = changed(here, { logs: both });
    expect([result.exit, wordOf(result, "receipt.issuer")]).toEqual([2, "registration.absent"]);
  });

  it("no registration in the bundle: not established", async () => {
    const result = await made({ shown: (place) => place !== 0 });
    expect([result.exit, wordOf(result, "receipt.issuer")]).toEqual([2, "registration.absent"]);
  });

  it("each receipt under another key and gateway: ERR_ISSUER, and no key is certified", async () => {
    const scatter = (entries: readonly Uint8Array[]): readonly Uint8Array[] =>
      entries.map((bytes, i) => {
        if (i < 2) return bytes;
        const other = gatewayKeys(100 + 2 * i);
        const body = {
          ...objectOf(bytes),
          stream: other.instance.publicKey.kid,
          kind: String(objectOf(bytes)["kind"]),
        };
        return canonicalBytes(signEnvelope(body, [other.receipt]));
      });
    const result = await made({ entries: scatter });
    expect(wordsOf(result)).toMatchObject({
      "receipt.issuer": "ERR_ISSUER",
      "receipt.signature": "stream.keys-unknown",
    });
  });

  it("without open receipt and registration, no key is certified", async () => {
    const result = await made({ shown: (place) => place > 1 });
    expect([result.exit, wordOf(result, "receipt.signature")]).toEqual([2, "stream.keys-unknown"]);
  });

  it("a malformed receipt is a fault with the code of what is wrong with it", async () => {
    const bend = resign(9, (body) => ({ ...body, extra: 1 }));
    const result = await made({ entries: bend });
    expect([result.exit, wordOf(result, "receipt.signature")]).toEqual([1, "ERR_SHAPE"]);
  });

  it("an entry of an unknown kind is judged by nobody, so the receipts are not established", async () => {
    const more = (entries: readonly Uint8Array[]): readonly Uint8Array[] => [
      ...entries,
      canonicalBytes({ kind: "note" }),
    ];
    const result = await made({ entries: more });
    expect([result.exit, wordOf(result, "receipt.signature")]).toEqual([2, "entry.kind-unknown"]);
  });
});

describe("the stream", () => {
  it("a receipt dropped from the tail: ERR_STREAM_TAIL", async () => {
    const result = await made({ shown: (place) => place !== 9 });
    expect(result.exit).toBe(1);
    expect(wordsOf(result)).toEqual({ "stream.continuity": "ERR_STREAM_TAIL" });
  });

  it("the tail dropped and the window cut to fit: the session has no seal, and once it is too old that is a fault", async () => {
    const evidence = await makeEvidence({
      shown: (place) => place < 8,
      windows: [{ stream: honest.stream, first_seq: 0, last_seq: 6 }],
    });
    expect(wordsOf(verify(evidence))).toEqual({ "session.sealed": "session.open" });
    expect(verify(evidence).exit).toBe(2);
    const later = formatTimestamp(START_MS + 3_603_000);
    expect(wordsOf(verify(evidence, { at: later }))).toEqual({ "session.sealed": "ERR_SESSION_UNSEALED" });
    const sooner = formatTimestamp(START_MS + 3_602_999);
    expect(wordsOf(verify(evidence, { at: sooner }))).toEqual({ "session.sealed": "session.open" });
  });

  it("a receipt dropped from the middle: ERR_STREAM_GAP", async () => {
    const result = await made({ shown: (place) => place !== 7 });
    expect([result.exit, wordOf(result, "stream.continuity")]).toEqual([1, "ERR_STREAM_GAP"]);
  });

  it("a window of which the bundle holds nothing: ERR_STREAM_GAP", async () => {
    const windows = [
      { stream: honest.stream, first_seq: 0, last_seq: 8 },
      { stream: "f".repeat(64), first_seq: 0, last_seq: 3 },
    ];
    expect(wordsOf(await made({ windows }))).toMatchObject({
      "stream.continuity": "ERR_STREAM_GAP",
      "receipt.issuer": "ERR_ISSUER",
    });
  });

  it("two contradicting histories under one key: ERR_STREAM_FORK", async () => {
    const other = signStream(keys, [...STORY.slice(0, -1), openSession(5)]).at(-1);
    const fork = (entries: readonly Uint8Array[]): readonly Uint8Array[] => [
      ...entries,
      other?.bytes ?? new Uint8Array(0),
    ];
    const result = await made({ entries: fork });
    expect([result.exit, wordOf(result, "stream.continuity")]).toEqual([1, "ERR_STREAM_FORK"]);
  });

  it("a receipt logged twice, or out of order: ERR_STREAM_FORK", async () => {
    const twice = await made({ entries: (entries) => [...entries, entries[4] ?? new Uint8Array(0)] });
    expect(wordOf(twice, "stream.continuity")).toBe("ERR_STREAM_FORK");
    const swap = (entries: readonly Uint8Array[]): readonly Uint8Array[] =>
      entries.map((bytes, i) => (i === 5 ? (entries[6] ?? bytes) : i === 6 ? (entries[5] ?? bytes) : bytes));
    expect(wordOf(await made({ entries: swap }), "stream.continuity")).toBe("ERR_STREAM_GAP");
  });

  it("a link to another receipt: ERR_STREAM_PREV", async () => {
    const result = await made({ entries: resign(9, (body) => ({ ...body, prev: hex64(7) })) });
    expect([result.exit, wordOf(result, "stream.continuity")]).toEqual([1, "ERR_STREAM_PREV"]);
  });

  it("a receipt behind the end of the stream: ERR_STREAM_CLOSED", async () => {
    const result = await made({ steps: [...STORY, close, beat] });
    expect(wordOf(result, "stream.continuity")).toBe("ERR_STREAM_CLOSED");
  });

  it("a stray receipt outside the window: ERR_STREAM_STRAY", async () => {
    const result = await made({ windows: [{ stream: honest.stream, first_seq: 0, last_seq: 7 }] });
    expect([result.exit, wordOf(result, "stream.continuity")]).toEqual([1, "ERR_STREAM_STRAY"]);
  });

  it("no declared window: nothing is known about what is missing", async () => {
    const result = await made({ windows: [] });
    expect(result.exit).toBe(2);
    expect(wordsOf(result)).toEqual({
      "stream.continuity": "window.none",
      "stream.coverage": "window.none",
      "session.sealed": "window.none",
      "call.outcome": "window.none",
    });
  });

  it("one receipt with its log proof stands alone for what it says itself", async () => {
    const shown = (place: number): boolean => place < 2 || place === 5;
    const result = await made({ windows: [], shown });
    expect(wordsOf(result)).toEqual({
      "stream.continuity": "window.none",
      "stream.coverage": "window.none",
      "session.sealed": "window.none",
      "call.outcome": "window.none",
    });
  });

  it("a later window passes with the receipts it depends on, and without them it does not", async () => {
    const steps: readonly Step[] = [
      ...STORY,
      openSession(2),
      decide(0, undefined, 2),
      finish(10),
      seal(9, ONE_CALL, 2),
    ];
    const windows = [{ stream: honest.stream, first_seq: 9, last_seq: 12 }];
    const context = new Set([0, 1, 2, 3, 10, 11, 12, 13]);
    expect(wordsOf(await made({ steps, windows, shown: (place) => context.has(place) }))).toEqual({});
    const noOpen = await made({ steps, windows, shown: (place) => context.has(place) && place !== 1 });
    expect([noOpen.exit, wordsOf(noOpen)]).toEqual([
      2,
      { "stream.continuity": "stream.open-absent", "stream.coverage": "stream.heartbeat-unknown" },
    ]);
    const early = await made({ steps, windows, shown: (place) => context.has(place) || place === 8 });
    expect(wordOf(early, "stream.continuity")).toBe("ERR_STREAM_STRAY");
    const hole = await made({ steps, windows, shown: (place) => context.has(place) && place !== 10 });
    expect(wordOf(hole, "stream.continuity")).toBe("ERR_STREAM_GAP");
  });

  it("a copy in another log than the stream's home proves no completeness", async () => {
    const result = await made({
      home: "log.example/home",
      entries: ([, ...rest]) => [registrationOf(keys), ...rest],
    });
    expect([result.exit, wordsOf(result)]).toEqual([2, { "stream.continuity": "stream.foreign-log" }]);
  });

  it("an empty bundle, and one with a registration alone, establish nothing", async () => {
    const empty = changed(honest, { logs: [], streams: [], policies: [], catalogs: [] });
    expect(empty.exit).toBe(2);
    expect(Object.keys(wordsOf(empty))).toHaveLength(15);
    const bare = await made({ shown: (place) => place === 0, windows: [] });
    expect([bare.exit, wordOf(bare, "receipt.signature")]).toEqual([2, "receipts.none"]);
    const noEntries = changed(honest, { logs: log(honest, { entries: [] }), streams: [] });
    expect([noEntries.exit, wordOf(noEntries, "log.inclusion")]).toEqual([2, "entries.none"]);
  });
});

const ONE_CALL = { total: 1, allowed: 1, denied: 0, faulted: 0, open: 0 } as const;

describe("sessions and calls", () => {
  const withSeal = (calls: Parameters<typeof seal>[1]): readonly Step[] => [...STORY.slice(0, 6), seal(3, calls), beat];

  it("a seal with other counts than its receipts give: ERR_SESSION_COUNTS", async () => {
    for (const calls of [
      { ...ONE_AND_ONE, total: 1, denied: 0 },
      { ...ONE_AND_ONE, total: 2, allowed: 2, denied: 0 },
      { ...ONE_AND_ONE, faulted: 1 },
      { ...ONE_AND_ONE, open: 1 },
    ]) {
      const result = await made({ steps: withSeal(calls) });
      expect([result.exit, wordsOf(result)]).toEqual([1, { "session.sealed": "ERR_SESSION_COUNTS" }]);
    }
  });

  it("faults and open calls are counted by the last outcome in front of the seal", async () => {
    const timeout: Step = finish(4, (outcome) => ({
      ...outcome,
      outcome: { status: "timeout", effect: "unknown", rpc_code: ABSENT },
    }));
    const settled: Step = finish(4, (outcome) => ({ ...outcome, call: { ...outcome.call, resolves: present(5) } }));
    const start = [...LOADS, openSession(), decide(0)];
    const faulted = await made({ steps: [...start, timeout, seal(3, { ...ONE_CALL, faulted: 1 }), settled] });
    expect(wordsOf(faulted)).toEqual({});
    const unknown = await made({ steps: [...start, timeout, seal(3, { ...ONE_CALL, faulted: 1 })] });
    expect([unknown.exit, wordsOf(unknown)]).toEqual([2, { "call.outcome": "call.effect-unknown" }]);
    const mended = await made({ steps: [...start, timeout, settled, seal(3, ONE_CALL)] });
    expect(wordsOf(mended)).toEqual({});
    const open = await made({ steps: [...start, seal(3, { ...ONE_CALL, open: 1 }), finish(4)] });
    expect(wordsOf(open)).toEqual({});
  });

  it("a session opened twice, a call outside its session, a seal of nothing: ERR_SESSION_PLACE", async () => {
    const cases: readonly (readonly Step[])[] = [
      [...LOADS, openSession(), openSession()],
      [...LOADS, decide(0), finish(3)],
      [...STORY, decide(2), finish(9)],
      [...STORY, seal(3, ONE_AND_ONE)],
      [...LOADS, beat, seal(3, { total: 0, allowed: 0, denied: 0, faulted: 0, open: 0 })],
      [...LOADS, openSession(), beat, seal(2, { total: 0, allowed: 0, denied: 0, faulted: 0, open: 0 })],
    ];
    for (const steps of cases) expect(wordOf(await made({ steps }), "session.sealed")).toBe("ERR_SESSION_PLACE");
  });

  it("a window that cuts a session or a call establishes neither", async () => {
    const cut = (first: number, last: number): Promise<VerificationResult> =>
      made({
        windows: [{ stream: honest.stream, first_seq: first, last_seq: last }],
        shown: (place) => place < 4 || (place > first && place <= last + 1),
      });
    expect(wordOf(await cut(4, 8), "session.sealed")).toBe("window.cuts-session");
    expect(wordOf(await cut(6, 8), "session.sealed")).toBe("window.cuts-session");
    expect(wordOf(await cut(7, 8), "session.sealed")).toBe("window.cuts-session");
    expect(wordOf(await cut(8, 8), "session.sealed")).toBe("session.none");
    expect(wordOf(await cut(8, 8), "call.outcome")).toBe("decisions.none");
    expect(wordOf(await cut(3, 4), "call.outcome")).toBe("call.no-outcome");
    expect(wordOf(await cut(5, 8), "call.outcome")).toBe("pass");
  });

  it("a dispatched call without an outcome is not established, and a fault once the stream is closed", async () => {
    const steps = [...LOADS, openSession(), decide(0), seal(3, { ...ONE_CALL, open: 1 })];
    expect(wordsOf(await made({ steps }))).toEqual({ "call.outcome": "call.no-outcome" });
    expect(wordsOf(await made({ steps: [...steps, close] }))).toEqual({ "call.outcome": "ERR_CALL_OPEN" });
  });

  it("an outcome of another call, another decision, a denied one, or a second one: ERR_CALL_OUTCOME", async () => {
    const start = [...LOADS, openSession(), decide(0), decide(1, denied)];
    const ties = (change: object): Step =>
      finish(4, (outcome) => ({ ...outcome, call: { ...outcome.call, ...change } }));
    const phantom: Step = finish(4, (outcome) => ({
      ...outcome,
      outcome: { status: "phantom", effect: "none", rpc_code: ABSENT },
    }));
    const cases: readonly (readonly Step[])[] = [
      [ties({ id: "f".repeat(32) })],
      [ties({ round: 1 })],
      [ties({ decision_hash: hex64(1) })],
      [ties({ decision_seq: 5 })],
      [ties({ decision_seq: 3 })],
      [ties({ resolves: present(5) })],
      [phantom],
      [finish(4), finish(4)],
      [finish(4), ties({ resolves: present(6) })],
    ];
    for (const more of cases) {
      const result = await made({ steps: [...start, ...more] });
      expect([result.exit, wordOf(result, "call.outcome")]).toEqual([1, "ERR_CALL_OUTCOME"]);
    }
  });

  it("a task has one end, behind the outcome that made it; without one its effect is unknown", async () => {
    const task = (status: Status, effect: Effect, resolves?: number): Step =>
      finish(4, (outcome) => ({
        ...outcome,
        call: { ...outcome.call, resolves: resolves === undefined ? ABSENT : present(resolves) },
        outcome: { status, effect, rpc_code: ABSENT },
      }));
    const start = [...LOADS, openSession(), decide(0)];
    const running = task("task_created", "unknown");
    const words = async (...more: readonly Step[]): Promise<string> =>
      wordOf(await made({ steps: [...start, ...more] }), "call.outcome");
    for (const end of ["task_completed", "task_failed", "blocked"] as const) {
      expect(await words(running, task(end, "done", 5))).toBe("pass");
    }
    expect(await words(running)).toBe("call.effect-unknown");
    expect(await words(running, task("unknown", "unknown", 5))).toBe("call.effect-unknown");
    expect(await words(task("task_completed", "done"))).toBe("ERR_CALL_OUTCOME");
    expect(await words(task("timeout", "unknown"), task("task_failed", "done", 5))).toBe("ERR_CALL_OUTCOME");
    expect(await words(running, task("task_created", "unknown", 5))).toBe("ERR_CALL_OUTCOME");
    expect(await words(running, task("task_completed", "done"))).toBe("ERR_CALL_OUTCOME");
    const twice = [running, task("task_completed", "done", 5), task("task_failed", "unknown", 6)];
    expect(await words(...twice)).toBe("ERR_CALL_OUTCOME");
  });

  it("a phantom needs its outcome too", async () => {
    const phantom = decide(0, (decision) => ({
      ...decision,
      request_sent: ABSENT,
      ruling: { ...decision.ruling, action: "phantom", judgement: "deny" },
    }));
    const counts = { total: 1, allowed: 0, denied: 1, faulted: 0, open: 0 };
    const answered: Step = finish(4, (outcome) => ({
      ...outcome,
      outcome: { status: "phantom", effect: "none", rpc_code: ABSENT },
    }));
    expect(wordsOf(await made({ steps: [...LOADS, openSession(), phantom, answered, seal(3, counts)] }))).toEqual({});
    const silent = await made({ steps: [...LOADS, openSession(), phantom, seal(3, counts)] });
    expect(wordsOf(silent)).toEqual({ "call.outcome": "call.no-outcome" });
  });
});

describe("what was decided under what", () => {
  it("a policy or catalog that nobody pinned: ERR_POLICY_UNPINNED, ERR_CATALOG_UNPINNED", () => {
    const other = [`sha256:${"0".repeat(64)}`];
    expect(wordsOf(underTrust(honest, { policies: other }))).toEqual({ "policy.allowed": "ERR_POLICY_UNPINNED" });
    expect(wordsOf(underTrust(honest, { catalogs: other }))).toEqual({ "catalog.allowed": "ERR_CATALOG_UNPINNED" });
    expect(underTrust(honest, { policies: other }).exit).toBe(1);
  });

  it("empty pins pass nothing", () => {
    const result = underTrust(honest, { policies: [], catalogs: [], modes: [] });
    expect([result.exit, wordsOf(result)]).toEqual([
      2,
      {
        "policy.allowed": "policies.none-pinned",
        "catalog.allowed": "catalogs.none-pinned",
        "mode.allowed": "modes.none-pinned",
      },
    ]);
  });

  it("another mode: ERR_MODE", async () => {
    const advisory = decide(0, (decision) => ({ ...decision, ruling: { ...decision.ruling, mode: "advisory" } }));
    const steps = [...LOADS, openSession(), advisory, finish(4), seal(3, ONE_CALL)];
    const result = await made({ steps });
    expect([result.exit, wordsOf(result)]).toEqual([1, { "mode.allowed": "ERR_MODE", "mode.enforcing": "ERR_MODE" }]);
    const allowed = await made({ steps, trust: { modes: ["advisory"] } });
    expect(wordsOf(allowed)).toEqual({ "mode.enforcing": "ERR_MODE" });
  });

  it("policy files that are not there, or not those of the digest", async () => {
    expect(wordsOf(await made({ policies: [] }))).toEqual({ "policy.files": "policy.not-disclosed" });
    const [policy] = POLICIES;
    if (policy === undefined) throw new Error("a policy");
    const forged = { ...policy, files: [{ path: "a.cedar", content: "forbid(principal, action, resource);" }] };
    const result = await made({ policies: [forged] });
    expect([result.exit, wordsOf(result)]).toEqual([1, { "policy.files": "ERR_POLICY_DIGEST" }]);
    const renamed = { ...policy, version: "9.9.9" };
    expect(wordsOf(await made({ policies: [renamed] }))).toEqual({ "policy.files": "ERR_POLICY_DIGEST" });
  });

  it("a load that lists other files than the policy has: ERR_POLICY_DIGEST", async () => {
    const load = { ...receiptContents()["policy-load"], files: [{ path: "b.cedar", digest: `sha256:${hex64(1)}` }] };
    const result = await made({ steps: [() => load, ...STORY.slice(1)] });
    expect(wordsOf(result)).toEqual({ "policy.files": "ERR_POLICY_DIGEST" });
  });

  it("a disclosed catalog with another content: ERR_CATALOG_DIGEST", async () => {
    const [catalog] = honest.content.catalogs;
    const result = await made({ catalogs: [{ digest: catalog?.digest ?? "", content: { kind: "other" } }] });
    expect([result.exit, wordsOf(result)]).toEqual([1, { "catalog.allowed": "ERR_CATALOG_DIGEST" }]);
    expect(wordsOf(await made({ catalogs: [] }))).toEqual({});
  });

  it("a call sent without word of policy or catalog is not established; a request refused before them needs none", async () => {
    const unreached = notEstablished("field.not-reached");
    const silent = (ruled: typeof denied): Step =>
      decide(0, (decision) => ruled({ ...decision, policy: unreached, catalog: unreached }));
    const sent = [...LOADS, openSession(), silent((same) => same), finish(4), seal(3, ONE_CALL)];
    expect(wordsOf(await made({ steps: sent }))).toEqual({
      "policy.allowed": "policy.not-recorded",
      "policy.files": "policy.not-recorded",
      "catalog.allowed": "catalog.not-recorded",
    });
    const counts = { total: 2, allowed: 1, denied: 1, faulted: 0, open: 0 };
    const refused = [...LOADS, openSession(), silent(denied), decide(1), finish(5), seal(3, counts)];
    expect(wordsOf(await made({ steps: refused }))).toEqual({});
  });

  it("a stream without a decision passes nothing that is about decisions", async () => {
    const result = await made({ steps: [...LOADS, beat] });
    expect([result.exit, wordsOf(result)]).toEqual([
      2,
      {
        "session.sealed": "session.none",
        "call.outcome": "decisions.none",
        "policy.allowed": "decisions.none",
        "policy.files": "decisions.none",
        "catalog.allowed": "decisions.none",
        "mode.allowed": "decisions.none",
        "mode.enforcing": "decisions.none",
      },
    ]);
  });
});

describe("silence", () => {
  const every = (stepMs: number): EvidenceOptions => ({ stepMs, startMs: START_MS - 3_600_000 });

  it("of exactly the declared heartbeat is covered, and a millisecond more is not established", async () => {
    expect(wordsOf(await made(every(60_000)))).toEqual({});
    const result = await made(every(60_001));
    expect([result.exit, wordsOf(result)]).toEqual([2, { "stream.coverage": "stream.silent" }]);
    expect(result.obligations.find(({ id }) => id === "stream.coverage")).toMatchObject({ count: 8 });
  });

  it("cannot be hidden by a clock that is set back", async () => {
    expect(wordOf(await made(every(-60_001)), "stream.coverage")).toBe("stream.silent");
  });
});

describe("time", () => {
  it("receipts outside the allowed time: ERR_TIME_WINDOW", () => {
    const second = (n: number): ReturnType<typeof formatTimestamp> => formatTimestamp(START_MS + n * 1000);
    expect(wordsOf(underTrust(honest, { not_before: second(0), not_after: second(8) }))).toEqual({});
    for (const pins of [{ not_before: second(1) }, { not_after: second(7) }, { max_receipt_age_seconds: 59 }]) {
      const result = underTrust(honest, pins);
      expect([result.exit, wordsOf(result)]).toEqual([1, { "time.window": "ERR_TIME_WINDOW" }]);
    }
    expect(wordsOf(underTrust(honest, { max_receipt_age_seconds: 60 }))).toEqual({});
  });

  it("a receipt from the future of its witnesses: ERR_TIME_AHEAD beyond one minute", async () => {
    const ahead = (ms: number): EvidenceOptions => ({ startMs: Number(TIME) * 1000 + ms - 8000 });
    expect(wordsOf(await made(ahead(60_000)))).toEqual({});
    const result = await made(ahead(60_001));
    expect([result.exit, wordsOf(result)]).toEqual([1, { "time.window": "ERR_TIME_AHEAD" }]);
  });

  it("is that of the quorum: one witness whose clock is wrong does not move it", async () => {
    const at = (times: readonly bigint[]): EvidenceOptions => ({
      cosigned: times.map((time, i) => ({ by: witnesses[i] ?? w1, at: time })),
    });
    expect((await made(at([5n, TIME, TIME + 50n]))).at).toEqual({ source: "witnesses", time: WITNESSED });
    expect((await made(at([TIME, TIME + 50n, 5n]))).at).toEqual({ source: "witnesses", time: WITNESSED });
    expect((await made(at([TIME, TIME, TIME + 10n ** 12n]))).at).toEqual({ source: "witnesses", time: WITNESSED });
  });

  it("a time beyond the calendar says nothing", async () => {
    const never = await made({ cosigned: [w1, w2].map((by) => ({ by, at: 2n ** 63n - 1n })) });
    expect([never.exit, never.at, wordsOf(never)]).toEqual([
      2,
      { source: "none" },
      { "time.window": "time.no-witness" },
    ]);
  });

  it("judged before the witnesses saw it, the evidence was not there yet", () => {
    const result = verify(honest, { at: formatTimestamp(Number(TIME) * 1000 - 1) });
    expect([result.exit, result.at.source, wordsOf(result)]).toEqual([
      2,
      "caller",
      { "time.window": "time.before-evidence" },
    ]);
  });

  it("judged long after, maximal ages are measured from there", () => {
    const trust = parseTrustPolicy({ ...honest.trustJson, max_receipt_age_seconds: 3600 });
    const at = formatTimestamp(START_MS + 3_600_001);
    expect(wordOf(verify({ bytes: honest.bytes, trust }, { at }), "time.window")).toBe("ERR_TIME_WINDOW");
    // What the caller's clock says is told apart and changes nothing.
    const now = verify({ bytes: honest.bytes, trust }, { now: at });
    expect([now.exit, now.status_now?.obligations.map(({ verdict }) => verdict)]).toEqual([0, ["pass", "fail"]]);
  });
});

describe("the bundle's own digest", () => {
  it("another digest than that of the content: ERR_BUNDLE_DIGEST", () => {
    const text = Buffer.from(honest.bytes).toString();
    const bytes = new Uint8Array(
      Buffer.from(text.replace(/"digest":"[0-9a-f]{64}",/u, `"digest":"${"0".repeat(64)}",`)),
    );
    const result = verify({ bytes, trust: honest.trust });
    expect([result.exit, wordsOf(result)]).toEqual([1, { "bundle.digest": "ERR_BUNDLE_DIGEST" }]);
  });
});

describe("shared proof nodes", () => {
  it("a proof that is right up to a node that is known, and wrong above: ERR_ROOT_MISMATCH", () => {
    const entries = entriesOf(honest).map((entry, i) => {
      if (i === 0) return entry;
      const proof = entry.proof.map((hash, j, all) =>
        j === all.length - 1 ? parseNodeHash(parseHex(hex64(3), 32)) : hash,
      );
      return { ...entry, proof };
    });
    const result = changed(honest, { logs: log(honest, { entries }) });
    const found = result.obligations.find(({ id }) => id === "log.inclusion");
    expect(found).toMatchObject({ verdict: "fail", code: "ERR_ROOT_MISMATCH", count: entries.length - 1 });
  });
});
