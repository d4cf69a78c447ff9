import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { checkLogProof, parseLogProof } from "../../kernel/log-proof.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { formatSegment, MAX_SEGMENT_BYTES, makeSegment } from "../../kernel/segment.ts";
import { signEnvelope } from "../../kernel/signature/envelope.ts";
import type { Alg } from "../../kernel/signature/public-key.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import {
  LEDGER_KEYS,
  LEDGER_ORIGIN,
  NO_WITNESSES,
  removeLedgers,
  startTestLedger,
  type TestLedger,
} from "../support/ledger-service.ts";
import { type Answer, refusal, registrationOf, Submitter, segmentOf, tipOf } from "../support/ledger-submitter.ts";
import {
  type GatewayKeys,
  gatewayKeys,
  type MadeStream,
  makeStream,
  receiptContents,
  type StreamOptions,
} from "../support/receipts.ts";

const POLICY = parseWitnessPolicy(
  `${LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}\n`).join("")}${NO_WITNESSES}`,
);

let ledger: TestLedger;
let client: Submitter;
let seed = 10;

beforeAll(async () => {
  ledger = await startTestLedger({ config: { log_kind: "receipts" } });
  client = new Submitter(ledger.url);
});
afterAll(() => removeLedgers([ledger]));

/** A stream with keys of its own, registered. */
function openStream(options: StreamOptions = {}): Promise<MadeStream> {
  return client.open(makeStream({ keys: newKeys(), log: LEDGER_ORIGIN, ...options }));
}

function newKeys(alg: Alg = "ed25519"): GatewayKeys {
  seed += 2;
  return gatewayKeys(seed, alg);
}

function bytesAt({ receipts }: MadeStream, seq: number): Uint8Array {
  return receipts[seq]?.bytes ?? new Uint8Array(0);
}

/** Another receipt at seq `count`: what the stream would have been without its later receipts, and then a heartbeat. */
function rivalAt(stream: MadeStream, count: number): MadeStream["receipts"][number] {
  const { heartbeat } = receiptContents(stream.keys, LEDGER_ORIGIN);
  return makeStream({ keys: stream.keys, log: LEDGER_ORIGIN, count }).next(heartbeat);
}

function member(answer: Answer, name: string): unknown {
  return answer.body !== null && typeof answer.body === "object"
    ? Object.entries(answer.body).find(([key]) => key === name)?.[1]
    : undefined;
}

async function size(): Promise<number> {
  const body: unknown = await (await ledger.get("/readyz")).json();
  return Number(member({ status: 200, body }, "size"));
}

describe("single receipts", () => {
  it("get consecutive indexes, move the tip, and are proven", async () => {
    const stream = await openStream();
    const first = await size();
    for (const [seq, { bytes }] of stream.receipts.entries()) {
      expect(await client.receipt(bytes)).toEqual({
        status: 200,
        body: { index: first + seq, leaf_hash: formatHex(hashLeaf(bytes)) },
      });
      expect((await client.tip(stream.stream)).body).toMatchObject(tipOf(stream, seq + 1));
    }
    const entry = bytesAt(stream, 5);
    const proof = await ledger.get(`/log-proof?leaf=${formatHex(hashLeaf(entry))}&wait_ms=5000`);
    checkLogProof({ proof: parseLogProof(await proof.text()), entry, policy: POLICY });
    expect((await client.tip(stream.stream)).body).toMatchObject({ closed: true });
  });

  it("are refused after the receipt that closed the stream, except those that are there", async () => {
    const stream = await openStream({ calls: 0 });
    await client.segment(segmentOf(stream, 0, stream.receipts.length));
    const { heartbeat } = receiptContents(stream.keys, LEDGER_ORIGIN);
    expect(await client.receipt(stream.next(heartbeat).bytes)).toMatchObject(
      refusal(409, "ERR_STREAM_CLOSED", { tip: tipOf(stream, stream.receipts.length) }),
    );
    expect((await client.receipt(bytesAt(stream, 2))).status).toBe(200);
  });

  it("are refused with the tip when they leave a gap, before and after the first receipt", async () => {
    const stream = await openStream();
    expect(await client.receipt(bytesAt(stream, 2))).toMatchObject(
      refusal(409, "ERR_STREAM_GAP", { tip: { next_seq: 0 } }),
    );
    await client.receipt(bytesAt(stream, 0));
    expect(await client.receipt(bytesAt(stream, 2))).toMatchObject(
      refusal(409, "ERR_STREAM_GAP", { tip: tipOf(stream, 1) }),
    );
    expect((await client.tip(stream.stream)).body).toMatchObject(tipOf(stream, 1));
  });

  it("are refused when they do not name the receipt before them", async () => {
    const stream = await openStream();
    const rival = rivalAt(stream, 2);
    await client.segment(segmentOf(stream, 0, 2));
    await client.receipt(rival.bytes);
    expect(await client.receipt(bytesAt(stream, 3))).toMatchObject(
      refusal(409, "ERR_STREAM_PREV", { tip: { next_seq: 3, last: formatHex(rival.hash) } }),
    );
  });

  it("of another home log, of a stream that is not registered, and under other keys are refused", async () => {
    const foreign = await client.open(makeStream({ keys: newKeys(), log: "other.example/log" }));
    expect(await client.receipt(bytesAt(foreign, 0))).toMatchObject(refusal(403, "ERR_ADMISSION"));
    const unknown = makeStream({ keys: newKeys(), log: LEDGER_ORIGIN });
    expect(await client.receipt(bytesAt(unknown, 0))).toMatchObject(refusal(403, "ERR_STREAM_UNKNOWN"));
    expect((await client.tip(unknown.stream)).status).toBe(404);
    const stream = await openStream();
    const { instance } = stream.keys;
    const other = makeStream({ keys: { instance, receipt: newKeys().receipt }, log: LEDGER_ORIGIN });
    expect(await client.receipt(bytesAt(other, 0))).toMatchObject(refusal(403, "ERR_STREAM_KEY"));
    await client.receipt(bytesAt(stream, 0));
    expect(await client.receipt(bytesAt(other, 1))).toMatchObject(refusal(403, "ERR_STREAM_KEY"));
  });

  it("with a signature of one more key are refused, also where the same body is logged", async () => {
    const stream = await openStream();
    await client.segment(segmentOf(stream, 0, 3));
    for (const seq of [2, 3]) {
      const receipt = stream.receipts[seq]?.receipt;
      if (receipt === undefined) throw new Error("no such receipt");
      const twice = canonicalBytes(signEnvelope(receipt, [stream.keys.receipt, newKeys().receipt]));
      expect(await client.receipt(twice)).toMatchObject(refusal(403, "ERR_STREAM_KEY"));
    }
  });

  it("are not forks when the same body is signed once more: they get the place and the leaf of the first", async () => {
    const stream = await openStream({ keys: newKeys("es256") });
    const index = Number(member(await client.segment(segmentOf(stream, 0, 4)), "first_index"));
    const before = await size();
    for (const seq of [0, 3]) {
      const receipt = stream.receipts[seq]?.receipt;
      if (receipt === undefined) throw new Error("no such receipt");
      const signers = seq === 0 ? [stream.keys.instance, stream.keys.receipt] : [stream.keys.receipt];
      const again = canonicalBytes(signEnvelope(receipt, signers));
      expect(again).not.toEqual(bytesAt(stream, seq));
      const logged = { index: index + seq, leaf_hash: formatHex(hashLeaf(bytesAt(stream, seq))) };
      expect(await client.receipt(again)).toEqual({ status: 200, body: logged });
    }
    expect(await size()).toBe(before);
  });
});

describe("segments", () => {
  it("put their receipts side by side into the log; sent again they get the same places", async () => {
    const stream = await openStream({ calls: 10 });
    const first = await size();
    const whole = segmentOf(stream, 0, 20);
    const admitted = { status: 200, body: { first_index: first, count: 20, tip: tipOf(stream, 20) } };
    expect(await client.segment(whole)).toEqual(admitted);
    expect(await client.segment(whole)).toEqual(admitted);
    expect(await size()).toBe(first + 20);
    expect(await client.receipt(bytesAt(stream, 7))).toMatchObject({ body: { index: first + 7 } });
    // A segment that begins in what is known and ends in what is new.
    expect(await client.segment(segmentOf(stream, 15, 26))).toEqual({
      status: 200,
      body: { first_index: first + 15, count: 11, tip: tipOf(stream, 26) },
    });
    // A tip in an old segment's answer is the newest one.
    expect(await client.segment(segmentOf(stream, 3, 9))).toMatchObject({
      body: { first_index: first + 3, count: 6, tip: tipOf(stream, 26) },
    });
  });

  it("are refused as a whole behind a gap, and are admitted once it is closed", async () => {
    const stream = await openStream({ calls: 10 });
    const before = await size();
    expect(await client.segment(segmentOf(stream, 4, 9))).toMatchObject(
      refusal(409, "ERR_STREAM_GAP", { tip: { next_seq: 0 } }),
    );
    expect(await size()).toBe(before);
    await client.segment(segmentOf(stream, 0, 4));
    expect((await client.segment(segmentOf(stream, 4, 9))).status).toBe(200);
  });

  it("are refused as a whole when they hold one receipt of another history", async () => {
    const stream = await openStream({ calls: 10 });
    await client.segment(segmentOf(stream, 0, 6));
    const before = await size();
    const fork = makeStream({ keys: stream.keys, log: LEDGER_ORIGIN, calls: 10, startMs: 1_800_000_000_000 });
    expect(await client.segment(segmentOf(fork, 5, 9))).toMatchObject(
      refusal(409, "ERR_STREAM_FORK", { tip: tipOf(stream, 6) }),
    );
    expect(await client.segment(segmentOf(fork, 6, 9))).toMatchObject(refusal(409, "ERR_STREAM_PREV"));
    expect(await size()).toBe(before);
    expect((await client.segment(segmentOf(stream, 6, 9))).status).toBe(200);
    expect(await (await ledger.get("/metrics")).text()).toMatch(/^ledger_stream_forks_total [1-9]/m);
  });

  it("for another log, of another stream or key, or with other receipts are refused", async () => {
    const stream = await openStream({ calls: 10 });
    const other = await openStream({ calls: 10 });
    expect(await client.segment(segmentOf(stream, 0, 4, "other.example/log"))).toMatchObject(
      refusal(403, "ERR_SEGMENT_ORIGIN"),
    );
    const borrowed = { ...stream, keys: other.keys };
    expect(await client.segment(segmentOf(borrowed, 0, 4))).toMatchObject(refusal(403, "ERR_STREAM_KEY"));
    const [envelope = ""] = new TextDecoder().decode(segmentOf(stream, 0, 4)).split("\n");
    const bytes = stream.receipts.map((receipt) => new TextDecoder().decode(receipt.bytes));
    const send = (lines: readonly string[]): Promise<Answer> =>
      client.segment(formatUtf8([envelope, ...lines, ""].join("\n")));
    expect(await send(bytes.slice(1, 5))).toMatchObject(refusal(403, "ERR_SEGMENT_ROOT"));
    expect(await send([...bytes.slice(0, 2), ...bytes.slice(2, 4).toReversed()])).toMatchObject(
      refusal(403, "ERR_SEGMENT_ROOT"),
    );
    expect(await send(bytes.slice(0, 3))).toMatchObject(refusal(400, "ERR_SEGMENT"));
    expect(await send(bytes.slice(0, 5))).toMatchObject(refusal(400, "ERR_SEGMENT"));
    expect(await send([...bytes.slice(0, 4), ""])).toMatchObject(refusal(400, "ERR_SEGMENT"));
    expect(await client.segment(formatUtf8([envelope, ...bytes.slice(0, 4)].join("\n")))).toMatchObject(
      refusal(400, "ERR_SEGMENT"),
    );
    expect(await client.segment(new Uint8Array(0))).toMatchObject(refusal(400, "ERR_SEGMENT"));
    expect((await client.tip(stream.stream)).body).toMatchObject({ next_seq: 0 });
  });

  it("whose envelope is signed over receipts out of their place are refused", async () => {
    const stream = await openStream({ calls: 10 });
    const at = (seq: number): Uint8Array => bytesAt(stream, seq);
    const sign = (firstSeq: number, receipts: readonly Uint8Array[], prev?: Uint8Array): Uint8Array => {
      const parts = {
        origin: LEDGER_ORIGIN,
        stream: stream.stream,
        firstSeq,
        receipts,
        ...(prev === undefined ? {} : { prev }),
      };
      return formatSegment(makeSegment(parts, stream.keys.receipt), receipts);
    };
    const hash = stream.receipts[3]?.hash;
    expect(await client.segment(sign(0, [at(0), at(2)]))).toMatchObject(refusal(400, "ERR_SEGMENT"));
    expect(await client.segment(sign(0, [at(0), at(0)]))).toMatchObject(refusal(400, "ERR_SEGMENT"));
    expect(await client.segment(sign(5, [at(4), at(5)], hash))).toMatchObject(refusal(400, "ERR_SEGMENT"));
    expect(await client.segment(sign(5, [at(5), at(6)], hash))).toMatchObject(refusal(400, "ERR_SEGMENT"));
    const other = await openStream();
    expect(await client.segment(sign(0, [bytesAt(other, 0)]))).toMatchObject(refusal(400, "ERR_SEGMENT"));
    // What opens a stream is read before it is admitted; so is all of a segment that stands apart.
    const falsified = (seq: number): Uint8Array => {
      const text = new TextDecoder().decode(at(seq));
      return formatUtf8(text.replace(/"sig":"(.)/, (_, c) => `"sig":"${c === "A" ? "B" : "A"}`));
    };
    const refused = refusal(403, "ERR_SIGNATURE_INVALID");
    expect(await client.segment(sign(0, [falsified(0), at(1)]))).toMatchObject(refused);
    expect(await client.segment(sign(5, [at(5), falsified(6)], stream.receipts[4]?.hash))).toMatchObject(refused);
    expect((await client.tip(stream.stream)).body).toMatchObject({ next_seq: 0 });
  });

  it("hold up to 1,024 receipts and up to 8 MiB", async () => {
    const stream = await openStream({ calls: 520 });
    expect(await client.segment(segmentOf(stream, 0, 1024))).toMatchObject({ status: 200, body: { count: 1024 } });
    const [, ...lines] = new TextDecoder().decode(segmentOf(stream, 0, 1024)).split("\n");
    const [envelope = ""] = new TextDecoder().decode(segmentOf(stream, 0, 2)).split("\n");
    const extra = new TextDecoder().decode(bytesAt(stream, 1024));
    const many = (count: number): Uint8Array =>
      formatUtf8([envelope.replace('"count":2', `"count":${count}`), ...lines.slice(0, -1), extra, ""].join("\n"));
    expect(await client.segment(many(1025))).toMatchObject(refusal(400, "ERR_SHAPE"));
    expect(await client.segment(many(1024))).toMatchObject(refusal(400, "ERR_SEGMENT"));
    const large = new Uint8Array(MAX_SEGMENT_BYTES).fill(0x0a);
    expect(await client.segment(large)).toMatchObject(refusal(400, "ERR_JSON_SYNTAX"));
    expect(await client.segment(new Uint8Array(MAX_SEGMENT_BYTES + 1))).toMatchObject(refusal(413, "ERR_BODY_SIZE"));
  });
});

describe("submissions at the same time", () => {
  it("of the same receipts and segments all get the places of the first", async () => {
    const stream = await openStream({ calls: 10 });
    await client.segment(segmentOf(stream, 0, 4));
    const before = await size();
    const segments = Array.from({ length: 12 }, () => client.segment(segmentOf(stream, 4, 12)));
    const answers = await Promise.all([...segments, ...segments]);
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    const singles = await Promise.all(Array.from({ length: 12 }, () => client.receipt(bytesAt(stream, 12))));
    expect(new Set(singles.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(singles[0]?.status).toBe(200);
    expect(await size()).toBe(before + 9);
  });

  it("that contradict each other: one history wins, every other one is a fork", async () => {
    const stream = await openStream({ calls: 10 });
    await client.segment(segmentOf(stream, 0, 4));
    const before = await size();
    const { heartbeat } = receiptContents(stream.keys, LEDGER_ORIGIN);
    const histories = Array.from({ length: 8 }, (_, i) => {
      const made = makeStream({ keys: stream.keys, log: LEDGER_ORIGIN, count: 4 });
      return { ...made, receipts: [...made.receipts, made.next({ ...heartbeat, open_sessions: i })] };
    });
    const answers = await Promise.all(histories.map((made) => client.segment(segmentOf(made, 4, 5))));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, ...Array<number>(7).fill(409)]);
    const refused = answers.filter(({ status }) => status === 409);
    const winner = histories[answers.findIndex(({ status }) => status === 200)];
    if (winner === undefined) throw new Error("nobody won");
    for (const answer of refused)
      expect(answer).toMatchObject(refusal(409, "ERR_STREAM_FORK", { tip: tipOf(winner, 5) }));
    expect(await size()).toBe(before + 1);
  });

  it("of one stream's receipts in any order: those that came too early are gaps, and nothing is lost", async () => {
    const stream = await openStream({ calls: 5 });
    const waiting = new Set(stream.receipts.map((_, seq) => seq));
    while (waiting.size > 0) {
      const order = [...waiting].toReversed();
      const answers = await Promise.all(order.map((seq) => client.receipt(bytesAt(stream, seq))));
      for (const [i, { status }] of answers.entries()) {
        expect([200, 409]).toContain(status);
        if (status === 200) waiting.delete(order[i] ?? -1);
      }
    }
    expect((await client.tip(stream.stream)).body).toMatchObject({
      ...tipOf(stream, stream.receipts.length),
      closed: true,
    });
  });

  it("with a registration in flight do not see it before it is durable", async () => {
    const stream = makeStream({ keys: newKeys(), log: LEDGER_ORIGIN });
    const [registered, early] = await Promise.all([
      client.register(registrationOf(stream.keys)),
      client.receipt(bytesAt(stream, 0)),
    ]);
    expect(registered.status).toBe(201);
    expect([200, 403]).toContain(early.status);
    expect((await client.receipt(bytesAt(stream, 0))).status).toBe(200);
  });
});
