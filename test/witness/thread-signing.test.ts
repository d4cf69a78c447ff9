import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { makeCosigner } from "../../kernel/checkpoint/note-signer.ts";
import { openNote } from "../../kernel/checkpoint/open-note.ts";
import { parseNodeHash } from "../../kernel/merkle/hash.ts";
import {
  answerSigning,
  makeThreadCosigner,
  type SigningRequest,
  type SigningThread,
  type ThreadCosigner,
} from "../../kernel/service/thread-cosigner.ts";
import { makeMemoryStateFiles } from "../support/memory-state-files.ts";
import { listed, type MemoryWitness, openMemoryWitness } from "../support/memory-witness.ts";
import { makeSmallLog } from "../support/small-log.ts";

const SLOW = makeCosigner("witness.example/slow", 0x06, new Uint8Array(32).fill(6));
const FAST = makeCosigner("witness.example/fast", 0x04, new Uint8Array(32).fill(7));

/** A thread that answers when it is told to. */
class HeldThread extends EventEmitter implements SigningThread {
  readonly held: SigningRequest[] = [];
  readonly ref = (): void => undefined;
  readonly unref = (): void => undefined;
  readonly terminate = (): Promise<void> => Promise.resolve();

  postMessage(request: SigningRequest): void {
    this.held.push(request);
  }

  /** Answers the oldest request. */
  answer(): void {
    const request = this.held.shift();
    if (request !== undefined) this.emit("message", answerSigning(SLOW, request));
  }
}

function start(): { readonly thread: HeldThread; readonly slow: ThreadCosigner } {
  const thread = new HeldThread();
  return { thread, slow: makeThreadCosigner(SLOW.key, thread) };
}

describe("a key in a thread", () => {
  it("signs checkpoints and subtrees as the key does, in the order of its answers", async () => {
    const { thread, slow } = start();
    const log = makeSmallLog("log.example/a", 1, 4);
    const text = log.checkpoint(4).split("\n\n")[0] ?? "";
    const subtree = { origin: log.origin, start: 0n, end: 4n, hash: parseNodeHash(log.root(4)) };
    const asked = [slow.cosign(`${text}\n`, 5n), slow.cosignSubtree(subtree)];
    expect(slow.waiting()).toBe(2);
    thread.answer();
    thread.answer();
    const [line = "", other = ""] = await Promise.all(asked);
    expect(openNote(`${text}\n\n${line}`, [SLOW.key]).verified[0]?.timestampSeconds).toBe(5n);
    expect(other.startsWith("— witness.example/slow ")).toBe(true);
    expect(slow.waiting()).toBe(0);
  });

  it("fails what waits and whatever comes later once its thread is gone, or cannot sign", async () => {
    const { thread, slow } = start();
    const failed = slow.cosign("no checkpoint", 1n);
    thread.answer();
    await expect(failed).rejects.toMatchObject({ code: "ERR_SIGNING", fatal: true });
    const waiting = slow.cosign("text\n", 1n);
    thread.emit("exit", 1);
    await expect(waiting).rejects.toMatchObject({ code: "ERR_SIGNING" });
    await expect(slow.cosign("text\n", 1n)).rejects.toMatchObject({ code: "ERR_SIGNING" });
  });
});

describe("a witness whose key is in a thread", () => {
  const [a, b] = [makeSmallLog("log.example/a", 1, 8), makeSmallLog("log.example/b", 2, 8)];

  function open(slow: ThreadCosigner): Promise<MemoryWitness> {
    return openMemoryWitness(makeMemoryStateFiles(), [a, b].map(listed), { cosigners: [FAST, slow] });
  }

  it("records and answers only once the thread has signed, and serves other logs meanwhile", async () => {
    const { thread, slow } = start();
    const witness = await open(slow);
    const { book } = witness;
    const first = witness.grow(a, 0, 3);
    const second = witness.grow(b, 0, 5);
    await new Promise((resolve) => setImmediate(resolve));
    expect([thread.held.length, book.state(a.origin).head.size, book.state(b.origin).head.size]).toEqual([2, 0n, 0n]);
    thread.answer();
    expect((await first).status).toBe(200);
    expect([book.state(a.origin).head.size, book.state(b.origin).head.size]).toEqual([3n, 0n]);
    thread.answer();
    const answer = await second;
    expect(openNote(b.checkpoint(5) + answer.body, [FAST.key, SLOW.key]).verified).toHaveLength(2);
  });

  it("gives nothing away that was signed while the state turned out to be old", async () => {
    const { thread, slow } = start();
    const witness = await open(slow);
    const { book } = witness;
    const first = witness.grow(a, 0, 3);
    await new Promise((resolve) => setImmediate(resolve));
    await book.suspend("an old copy");
    thread.answer();
    expect(await first).toMatchObject({ status: 503, code: "ERR_WITNESS_ROLLBACK" });
    expect(book.state(a.origin).head.size).toBe(0n);
  });

  it("answers 500 and signs nothing more when its thread is gone", async () => {
    const { thread, slow } = start();
    const witness = await open(slow);
    const first = witness.grow(a, 0, 3);
    await new Promise((resolve) => setImmediate(resolve));
    thread.emit("exit", 1);
    expect(await first).toMatchObject({ status: 500, code: "ERR_SIGNING" });
    expect(witness.isHealthy()).toBe(false);
    expect((await witness.grow(b, 0, 1)).status).toBe(503);
  });
});
