/**
 * The module of the sealing thread: it signs receipts and writes the stream's files, by the sealer that a gateway of one thread has.
 * It reads the stream's keys itself and may connect to nothing (egress/thread-guard.ts). While it has no draft, it lends the end of the
 * stream (sealing-messages.ts).
 *
 * There is no timer: whatever has come while one write was under way shares the next one. Writes are made on this thread,
 * which has nothing else to do meanwhile.
 */

import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { makeGroupCommit } from "./group-commit.ts";
import { makeLocalSealer, ReceiptChain, type Sealer } from "./sealer.ts";
import type { FromSealing, SealingOrder, StreamEnd, ToSealing } from "./sealing-messages.ts";
import { readStreamSigners } from "./stream-keys.ts";
import { type LendingStreamLog, resumeStreamLog, type StreamLog, type StreamRoom } from "./stream-log.ts";

/** Serves as the sealing thread. @param port  to the serving thread */
export function serve(port: MessagePort, order: SealingOrder): void {
  serveOver(port, order, (log) => log);
}

/** As `serve`, with another log over the stream's own: for those who stop its writes. */
export function serveOver(port: MessagePort, order: SealingOrder, wrapLog: (log: StreamLog) => StreamLog): void {
  const answers = new Answers(port);
  const opening = openSealer(order, wrapLog, answers);
  // Told to the first who waits for it.
  opening.catch(() => undefined);
  const take = async (message: ToSealing): Promise<void> => {
    const { sealer, takeBack } = await opening;
    takeBack(message.end);
    if (message.type === "seal") {
      answers.expect(message.drafts.length);
      for (const draft of message.drafts) sealer.seal(draft).catch(answers.fail);
      return;
    }
    // The file is about to be cut to its length, by this thread.
    answers.lendNothing();
    await sealer.close();
    answers.stopped();
  };
  port.on("message", (first: ToSealing) => {
    take(first).catch(answers.fail);
    // What has come as well is sealed in the same turn, so that it shares the write.
    for (let more = receive(port); more !== undefined; more = receive(port)) take(more).catch(answers.fail);
  });
  // Nobody hears of it any more.
  port.on("close", () => {
    opening.then(({ sealer }) => sealer.close()).catch(() => undefined);
  });
}

/** The stream at its end. */
interface Opened {
  readonly sealer: Sealer;
  /** The end of the stream is this thread's again. */
  readonly takeBack: (end: StreamEnd | undefined) => void;
}

async function openSealer(
  { folder, isDurable, fileBytes, lastHash }: SealingOrder,
  wrapLog: (log: StreamLog) => StreamLog,
  answers: Answers,
): Promise<Opened> {
  const chain = new ReceiptChain(await readStreamSigners(folder), lastHash);
  const log = await resumeStreamLog({ folder, isDurable, fileBytes });
  answers.lendFrom(log);
  return {
    sealer: makeLocalSealer({
      chain,
      commit: makeGroupCommit(wrapLog(log), ({ cause }) => answers.fail(cause)),
      onWritten: ({ hash }) => answers.sealed(hash),
    }),
    takeBack: (end) => {
      log.takeBack(end?.fileBytes);
      if (end !== undefined) chain.goOn(end.lastHash);
    },
  };
}

function receive(port: MessagePort): ToSealing | undefined {
  const received: { readonly message: ToSealing } | undefined = receiveMessageOnPort(port);
  return received?.message;
}

/** What is told to the serving thread; hashes of one write go together, and with the last one goes a loan. */
class Answers {
  readonly #port: MessagePort;
  #hashes: string[] = [];
  /** Drafts whose hashes are not told. */
  #expected = 0;
  #lend: (() => StreamRoom) | undefined;
  #hasFailed = false;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  lendFrom({ lend }: LendingStreamLog): void {
    this.#lend = lend;
  }

  lendNothing(): void {
    this.#lend = undefined;
  }

  expect(drafts: number): void {
    this.#expected += drafts;
  }

  sealed(hash: string): void {
    if (this.#hashes.length === 0) queueMicrotask(this.#tellSealed);
    this.#hashes.push(hash);
  }

  /** Told once: whoever waits hears of it there. */
  readonly fail = (error: unknown): void => {
    if (this.#hasFailed) return;
    this.#tellSealed();
    this.#hasFailed = true;
    this.#tell({ type: "failed", why: error instanceof Error ? error.message : "unknown" });
  };

  stopped(): void {
    this.#tellSealed();
    this.#tell({ type: "stopped" });
    this.#port.close();
  }

  readonly #tellSealed = (): void => {
    const hashes = this.#hashes;
    this.#hashes = [];
    if (hashes.length === 0 || this.#hasFailed) return;
    this.#expected -= hashes.length;
    const loan = this.#expected === 0 ? this.#lend?.() : undefined;
    this.#tell(loan === undefined ? { type: "sealed", hashes } : { type: "sealed", hashes, loan });
  };

  #tell(message: FromSealing): void {
    this.#port.postMessage(message);
  }
}
