/** Statements of a log about itself: form, signatures, and the order in which they may come. */

import { describe, expect, it } from "vitest";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { nextLogState, signersAt, signersNow, startLogState } from "../../kernel/lifecycle/log-state.ts";
import {
  type ClosingBody,
  parseStatement,
  type StatementBody,
  signStatement,
} from "../../kernel/lifecycle/statement.ts";
import { makeSignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { parseKid } from "../../kernel/signature/public-key.ts";
import { codeOf } from "../support/code-of.ts";
import { seedOf } from "../support/log-keys.ts";
import {
  genesis,
  header,
  operator,
  otherOperator,
  pairOf,
  rotationBody,
  StatedLog,
  vkeysOf,
} from "../support/log-statements.ts";

const STREAM = parseKid("ab".repeat(32));
const rotation = (index: number): StatementBody => rotationBody(index, 0, 1);
const retirement =
  (rotationIndex: number) =>
  (index: number): StatementBody => ({ ...header(index), kind: "log-key-retirement", rotation_index: rotationIndex });
const closing = (index: number, more: Partial<ClosingBody> = {}): ClosingBody => ({
  ...header(index),
  kind: "log-closing",
  end: "frozen",
  reason: "the year is over",
  final_size: index + 1,
  ...more,
});
const successor = { origin: "log.example/next", keys: vkeysOf(pairOf(4)), url: "https://log.example/next" };
const predecessor = (index: number, origin = "log.example/before"): StatementBody => ({
  ...header(index),
  kind: "log-predecessor",
  predecessor: { origin, size: 7, root: "cd".repeat(32) },
});
const streamEnd = (index: number): StatementBody => ({
  ...header(index),
  kind: "registration-end",
  stream: STREAM,
  reason: "retired",
});

const EACH: readonly (readonly [string, (index: number) => StatementBody])[] = [
  ["log-key-rotation", rotation],
  ["log-predecessor", predecessor],
  ["registration-end", streamEnd],
  ["log-closing", closing],
  ["log-closing with a successor", (index) => closing(index, { end: "decommissioned", successor })],
];

/** Pairs sign what they are given, whatever it says. */
const forged = (body: StatementBody, pairs: readonly number[], by = operator): Uint8Array =>
  signStatement(body, pairs.flatMap(pairOf), by);
const step = (log: StatedLog, bytes: Uint8Array, index = log.next): string =>
  codeOf(() => nextLogState(log.state, parseStatement(bytes), index));

describe("a statement", () => {
  it.each(EACH)("%s is read back as it was written, and holds at its place", (_name, make) => {
    const log = new StatedLog().fill(4);
    const bytes = log.sign(make(5));
    expect(canonicalBytes({ ...parseStatement(bytes) })).toEqual(bytes);
    expect(step(log, bytes)).toBe("accepted");
    expect(step(log, bytes, 6)).toBe("ERR_STATEMENT_PLACE");
  });

  it("is signed over what no checkpoint can be", () => {
    const text = `countersign/log-closing/v1\nlog-ed25519\n${"x".repeat(32)}`;
    expect(codeOf(() => parseCheckpoint(text))).not.toBe("accepted");
    expect(codeOf(() => parseCheckpoint(`${text}\n`))).not.toBe("accepted");
    expect(parseUtf8(formatUtf8(text)).startsWith("subtree/v1")).toBe(false);
  });

  it("needs every key that signs checkpoints, and the operator of the genesis entry", () => {
    const log = new StatedLog().fill(2);
    const body = closing(log.next);
    expect(step(log, forged(body, [0]))).toBe("accepted");
    expect(step(log, forged(body, [0], otherOperator))).toBe("ERR_LOG_KEY_STRANGER");
    expect(step(log, forged(body, [1]))).toBe("ERR_LOG_KEY_MISSING");
    expect(step(log, forged(body, [0, 1]))).toBe("ERR_LOG_KEY_STRANGER");
    expect(step(log, signStatement(body, pairOf(0).slice(0, 1), operator))).toBe("ERR_LOG_KEY_MISSING");
    expect(step(log, signStatement(body, pairOf(0).toReversed(), operator))).toBe("ERR_LOG_KEY_STRANGER");
    expect(step(log, forged({ ...body, origin: "log.example/other" }, [0]))).toBe("ERR_STATEMENT_PLACE");
  });

  it("is refused with signatures of another statement", () => {
    const log = new StatedLog().fill(2);
    const [one, two] = [closing(3), closing(3, { reason: "another" })].map((body) => parseStatement(log.sign(body)));
    if (one === undefined || two === undefined) throw new Error("two statements");
    const mixed = canonicalBytes({ ...one, key_signatures: two.key_signatures });
    expect(step(log, mixed)).toBe("ERR_LOG_KEY_SIGNATURE");
    const signed = canonicalBytes({ ...one, signatures: two.signatures });
    expect(step(log, signed)).toBe("ERR_SIGNATURE_INVALID");
  });
});

describe("the keys of a log", () => {
  it("overlap from a rotation on and are replaced by a retirement", () => {
    const log = new StatedLog().fill(3).declare(rotation).fill(2);
    const ids = (keys: readonly { readonly keyId: number }[]): readonly number[] => keys.map(({ keyId }) => keyId);
    const [a, b] = [0, 1].map((n) => pairOf(n).map(({ verifierKey }) => verifierKey.keyId));
    expect(ids(signersNow(log.state))).toEqual([...(a ?? []), ...(b ?? [])]);
    expect(ids(signersAt(log.state, 4n))).toEqual(a);
    expect(ids(signersAt(log.state, 5n))).toEqual([...(a ?? []), ...(b ?? [])]);
    log.declare(retirement(4)).fill(1);
    expect(ids(signersNow(log.state))).toEqual(b);
    expect(ids(signersAt(log.state, 7n))).toEqual([...(a ?? []), ...(b ?? [])]);
    expect(ids(signersAt(log.state, 8n))).toEqual(b);
  });

  it("are rotated again and again, each pair once", () => {
    const log = new StatedLog().declare(rotation).declare(retirement(1));
    log.declare((index) => rotationBody(index, 1, 2)).declare(retirement(3));
    expect(step(log, forged(rotationBody(log.next, 2, 0), [2, 0]))).toBe("ERR_ROTATION_ORDER");
    expect(step(log, forged(rotationBody(log.next, 2, 1), [2, 1]))).toBe("ERR_ROTATION_ORDER");
    expect(step(log, forged(rotationBody(log.next, 2, 3), [2, 3]))).toBe("accepted");
  });

  it("are not rotated by one of the two pairs alone, nor by strangers", () => {
    const log = new StatedLog().fill(1);
    const body = rotation(log.next);
    expect(step(log, forged(body, [0]))).toBe("ERR_LOG_KEY_MISSING");
    expect(step(log, forged(body, [1]))).toBe("ERR_LOG_KEY_MISSING");
    expect(step(log, forged(body, [1, 0]))).toBe("ERR_LOG_KEY_STRANGER");
    expect(step(log, forged(rotationBody(log.next, 3, 4), [3, 4]))).toBe("ERR_LOG_KEY_STRANGER");
  });

  it("have one successor", () => {
    const log = new StatedLog().declare(rotation);
    expect(step(log, forged(rotationBody(log.next, 0, 2), [0, 2]))).toBe("ERR_ROTATION_FORK");
    expect(step(log, forged(rotationBody(log.next, 0, 1), [0, 1]))).toBe("ERR_ROTATION_ORDER");
    expect(step(log, forged(rotationBody(log.next, 1, 2), [1, 2]))).toBe("ERR_ROTATION_ORDER");
    log.declare(retirement(1));
    expect(step(log, forged(rotationBody(log.next, 0, 2), [0, 2]))).toBe("ERR_ROTATION_FORK");
    // A fork is only what both pairs signed.
    expect(step(log, forged(rotationBody(log.next, 0, 2), [2]))).toBe("ERR_LOG_KEY_MISSING");
  });

  it("are retired by the newer pair, once, after their rotation", () => {
    const log = new StatedLog();
    expect(step(log, forged(retirement(1)(log.next), [0]))).toBe("ERR_ROTATION_ORDER");
    log.declare(rotation);
    expect(step(log, forged(retirement(1)(log.next), [0]))).toBe("ERR_LOG_KEY_MISSING");
    expect(step(log, forged(retirement(9)(log.next), [1]))).toBe("ERR_ROTATION_ORDER");
    log.declare(retirement(1));
    expect(step(log, forged(retirement(1)(log.next), [1]))).toBe("ERR_ROTATION_ORDER");
  });

  it("are one Ed25519 and one ML-DSA-44 key of the log's name", () => {
    const log = new StatedLog();
    const [ed25519, mlDsa] = pairOf(1);
    const foreign = makeSignerKey("log.example/other", 0x01, seedOf(50));
    for (const pair of [[ed25519], [mlDsa], [mlDsa, ed25519], [ed25519, mlDsa, mlDsa], [foreign, mlDsa]]) {
      const body = { ...rotationBody(log.next, 0, 1), new_keys: vkeysOf(pair) };
      expect(step(log, signStatement(body, [...pairOf(0), ...pair], operator))).toBe("ERR_LOG_KEY_STRANGER");
    }
    const half = { ...rotationBody(log.next, 0, 1), new_keys: vkeysOf([ed25519, pairOf(0)[1]]) };
    expect(step(log, signStatement(half, [...pairOf(0), ed25519, pairOf(0)[1]], operator))).toBe("ERR_ROTATION_ORDER");
  });
});

describe("the end of a log", () => {
  it("is its last entry", () => {
    const log = new StatedLog().fill(3).declare(closing);
    expect(log.state.closing).toMatchObject({ end: "frozen", finalSize: 5n });
    for (const [, make] of EACH) expect(step(log, forged(make(log.next), [0]))).toBe("ERR_LOG_CLOSED");
  });

  it("is signed by both pairs while they overlap", () => {
    const log = new StatedLog().declare(rotation);
    expect(step(log, forged(closing(log.next), [1]))).toBe("ERR_LOG_KEY_MISSING");
    expect(step(log, forged(closing(log.next), [0, 1]))).toBe("accepted");
  });

  it("says its own size, and names another log as successor", () => {
    const log = new StatedLog().fill(3);
    expect(step(log, forged(closing(4, { final_size: 4 }), [0]))).toBe("ERR_STATEMENT_PLACE");
    expect(step(log, forged(closing(4, { final_size: 6 }), [0]))).toBe("ERR_STATEMENT_PLACE");
    expect(step(log, forged(closing(4, { successor: { origin: genesis.origin } }), [0]))).toBe("ERR_STATEMENT_PLACE");
  });
});

describe("what comes from elsewhere", () => {
  it("is one predecessor, and another log", () => {
    const log = new StatedLog().declare(predecessor);
    expect(log.state.predecessor).toMatchObject({ size: 7 });
    expect(step(log, forged(predecessor(log.next), [0]))).toBe("ERR_ROTATION_ORDER");
    expect(step(new StatedLog(), forged(predecessor(1, genesis.origin), [0]))).toBe("ERR_STATEMENT_PLACE");
  });

  it("ends a stream once", () => {
    const log = new StatedLog().fill(2).declare(streamEnd);
    expect(log.state.endedStreams.get(STREAM)).toBe(3);
    expect(step(log, forged(streamEnd(log.next), [0]))).toBe("ERR_ROTATION_ORDER");
  });

  it("starts with the keys of the genesis entry", () => {
    expect(startLogState(genesis).keys.map(formatVerifierKey)).toEqual(vkeysOf(pairOf(0)));
  });
});
