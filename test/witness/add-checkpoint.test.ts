import { beforeEach, describe, expect, it } from "vitest";
import { formatAddCheckpoint } from "../../kernel/add-checkpoint.ts";
import { checkLogFork } from "../../kernel/checkpoint/fork-evidence.ts";
import { makeCosigner } from "../../kernel/checkpoint/note-signer.ts";
import { openNote } from "../../kernel/checkpoint/open-note.ts";
import { asNodeHash, asRootHash, EMPTY_ROOT } from "../../kernel/merkle/hash.ts";
import type { WitnessAnswer } from "../../witness/answer.ts";
import { EvidenceShelf } from "../../witness/evidence.ts";
import { originHash, StateBook } from "../../witness/state-book.ts";
import { createWitness, type Witness } from "../../witness/witness.ts";
import { type MemoryStateFiles, makeMemoryStateFiles } from "../support/memory-state-files.ts";
import { makeSmallLog } from "../support/small-log.ts";

const log = makeSmallLog("log.example/a", 1, 40);
const fork = makeSmallLog("log.example/a", 1, 40, (i) => (i < 3 ? `entry ${i}` : `forked ${i}`));
const stranger = makeSmallLog("stranger.example/x", 2, 10);
const impostor = makeSmallLog("log.example/a", 3, 40);
const cosigners = [
  makeCosigner("witness.example/w", 0x04, new Uint8Array(32).fill(9)),
  makeCosigner("witness.example/pq", 0x06, new Uint8Array(32).fill(8)),
];

let store: MemoryStateFiles;
let witness: Witness;

async function open(): Promise<Witness> {
  const logs = [{ origin: log.origin, keys: [log.key] }];
  const [book, evidence] = [await StateBook.open(store), await EvidenceShelf.open(store)];
  return createWitness({ book, evidence, logs, cosigners, nowSeconds: () => 1_800_000_000n });
}

function send(text: string): Promise<WitnessAnswer> {
  return witness.addCheckpoint(new TextEncoder().encode(text));
}

async function grow(oldSize: number, size: number, from = log): Promise<WitnessAnswer> {
  const proof = oldSize === 0 ? [] : await from.consistency(oldSize, size);
  return send(formatAddCheckpoint(BigInt(oldSize), proof, from.checkpoint(size)));
}

beforeEach(async () => {
  store = makeMemoryStateFiles();
  witness = await open();
});

describe("add-checkpoint answers", () => {
  it("400 to a body that is not a request", async () => {
    const note = log.checkpoint(5);
    const bodies = [
      "",
      "old 0",
      `new 0\n\n${note}`,
      `old 00\n\n${note}`,
      `old -1\n\n${note}`,
      `old \n\n${note}`,
      `old 5\nAAAA\n\n${note}`,
      `old 0\n\n${note.slice(0, -1)}`,
      `old 5\n${"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n".repeat(64)}\n${note}`,
      `old 0\n\n${"x".repeat(200_000)}`,
    ];
    for (const body of bodies) expect((await send(body)).status, body.slice(0, 40)).toBe(400);
  });

  it("404 to a log that it does not know", async () => {
    expect((await grow(0, 5, stranger)).status).toBe(404);
  });

  it("403 without a signature of a trusted key, and when a trusted key's line is false", async () => {
    expect((await grow(0, 5, impostor)).status).toBe(403);
    const note = log.checkpoint(5).replace("\n5\n", "\n6\n");
    expect((await send(`old 0\n\n${note}`)).status).toBe(403);
  });

  it("400 to an old size above the size", async () => {
    expect((await send(formatAddCheckpoint(6n, [], log.checkpoint(5)))).status).toBe(400);
  });

  it("409 with the recorded size to another old size, before the proof is looked at", async () => {
    await grow(0, 5);
    const answer = await send(formatAddCheckpoint(4n, [asNodeHash(log.leaf(0))], log.checkpoint(9)));
    expect(answer).toMatchObject({ status: 409, contentType: "text/x.tlog.size", body: "5\n" });
    expect((await grow(0, 9)).body).toBe("5\n");
  });

  it("422 to size zero with another root than the empty one", async () => {
    const root = asRootHash(log.leaf(0));
    expect((await send(formatAddCheckpoint(0n, [], log.checkpoint(0, root)))).status).toBe(422);
    expect((await send(formatAddCheckpoint(0n, [], log.checkpoint(0, EMPTY_ROOT)))).status).toBe(200);
  });

  it("422 to proof lines with old size zero", async () => {
    const body = formatAddCheckpoint(0n, [asNodeHash(log.leaf(0))], log.checkpoint(5));
    expect((await send(body)).status).toBe(422);
  });

  it("422 to the recorded size with another root, and keeps both checkpoints as evidence", async () => {
    await grow(0, 5);
    expect((await send(formatAddCheckpoint(5n, [], fork.checkpoint(5)))).status).toBe(422);
    const [evidence] = [...store.files].filter(([name]) => name.endsWith(".fork")).map(([, bytes]) => bytes);
    expect(checkLogFork(evidence ?? new Uint8Array(0), [log.key])).toMatchObject({
      first: { size: 5n, root: log.root(5) },
      second: { size: 5n, root: fork.root(5) },
    });
  });

  it("422 to a proof that does not hold: a fork, a missing hash, one hash too many", async () => {
    await grow(0, 5);
    expect((await grow(5, 20, fork)).status).toBe(422);
    const proof = await log.consistency(5, 20);
    expect((await send(formatAddCheckpoint(5n, proof.slice(1), log.checkpoint(20)))).status).toBe(422);
    expect((await send(formatAddCheckpoint(5n, [...proof, ...proof], log.checkpoint(20)))).status).toBe(422);
    expect((await grow(5, 20)).status).toBe(200);
  });

  it("200 with one line for each of its keys, which verify over the checkpoint", async () => {
    const answer = await grow(0, 5);
    expect(answer.status).toBe(200);
    const { verified } = openNote(log.checkpoint(5) + answer.body, [log.key, ...cosigners.map(({ key }) => key)]);
    expect(verified.map(({ timestampSeconds }) => timestampSeconds)).toEqual([
      undefined,
      1_800_000_000n,
      1_800_000_000n,
    ]);
  });

  it("200 to the recorded size again, and from every size to every larger one", async () => {
    let recorded = 0;
    for (const size of [1, 1, 2, 3, 7, 8, 8, 15, 33, 40]) {
      expect((await grow(recorded, size)).status, `${recorded} to ${size}`).toBe(200);
      recorded = size;
    }
  });

  it("500 when the state cannot be written, 503 afterwards, and never a signature", async () => {
    for (const fault of ["fails", "fails but kept", "torn"] as const) {
      store = makeMemoryStateFiles();
      witness = await open();
      store.fault = fault;
      expect(await grow(0, 5)).toMatchObject({ status: 500, code: "ERR_WITNESS_STATE" });
      expect((await grow(0, 5)).status).toBe(503);
      expect(witness.isHealthy()).toBe(false);
      witness = await open();
      const kept = fault === "fails but kept" ? 5 : 0;
      expect((await grow(kept, 7)).status).toBe(200);
    }
  });
});

describe("the state of a witness", () => {
  it("survives a restart: what was cosigned is not forgotten", async () => {
    await grow(0, 20);
    witness = await open();
    expect((await grow(0, 5)).body).toBe("20\n");
    expect((await grow(20, 40)).status).toBe(200);
  });

  it("is served on the monitoring path with the log's and its own signatures", async () => {
    expect(witness.checkpoint(originHash(log.origin))).toBeUndefined();
    await grow(0, 20);
    const note = witness.checkpoint(originHash(log.origin)) ?? "";
    expect(openNote(note, [log.key, ...cosigners.map(({ key }) => key)]).verified).toHaveLength(3);
  });

  it("cannot be rolled back by two requests that interleave between check and store", async () => {
    await grow(0, 5);
    let release: () => void = () => undefined;
    const stalled = new Promise<void>((resolve) => {
      release = resolve;
    });
    store.beforeWrite = () => stalled;
    const large = grow(5, 40);
    const small = grow(5, 7);
    release();
    expect((await large).status).toBe(200);
    expect(await small).toMatchObject({ status: 409, body: "40\n" });
  });

  it("answers 429 to the request beyond 64 that wait for one log", async () => {
    let release: () => void = () => undefined;
    const stalled = new Promise<void>((resolve) => {
      release = resolve;
    });
    store.beforeWrite = () => stalled;
    const answers = Array.from({ length: 70 }, () => grow(0, 5));
    await Promise.resolve();
    release();
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 429)).toHaveLength(6);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
  });
});
