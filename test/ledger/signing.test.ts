import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import type { SigningThread } from "../../kernel/service/thread-cosigner.ts";
import { makeWorkerSigner } from "../../ledger/checkpoint/signing.ts";
import { LEDGER_ORIGIN } from "../support/ledger-service.ts";

const SEEDS = { origin: LEDGER_ORIGIN, ed25519: new Uint8Array(32).fill(1), mlDsa44: new Uint8Array(32).fill(2) };
const TEXT = `${LEDGER_ORIGIN}\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n`;

/** A thread that takes requests and never answers. */
class MuteThread extends EventEmitter {
  readonly ref = (): void => undefined;
  readonly unref = (): void => undefined;
  readonly postMessage = (): void => undefined;
  readonly terminate = (): Promise<void> => Promise.resolve();
}

function start(): { readonly thread: MuteThread; readonly sign: () => Promise<readonly string[]> } {
  const thread = new MuteThread();
  const signer = makeWorkerSigner(SEEDS, () => thread as unknown as SigningThread);
  return { thread, sign: () => signer.sign(TEXT, 1n) };
}

describe("a signer whose thread is gone", () => {
  it("fails what was asked before it went", async () => {
    const { thread, sign } = start();
    const signed = sign();
    thread.emit("error", new Error("out of memory"));
    thread.emit("exit", 1);
    await expect(signed).rejects.toMatchObject({ code: "ERR_SIGNING" });
  });

  it("fails what is asked afterwards, also when it went idle", async () => {
    const { thread, sign } = start();
    thread.emit("exit", 0);
    await expect(sign()).rejects.toMatchObject({ code: "ERR_SIGNING" });
    await expect(sign()).rejects.toMatchObject({ code: "ERR_SIGNING" });
  });
});
