/**
 * The module of the sealing thread: it alone signs receipts and writes the stream's files, by the sealer that a gateway of one thread
 * has. It reads the stream's keys itself and may connect to nothing (egress/thread-guard.ts).
 *
 * There is no timer: whatever has come while one write was under way shares the next one. Writes are made on this thread,
 * which has nothing else to do meanwhile.
 */

import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { makeGroupCommit } from "./group-commit.ts";
import { makeLocalSealer, ReceiptChain, type Sealer } from "./sealer.ts";
import type { FromSealing, SealingOrder, ToSealing } from "./sealing-messages.ts";
import { readStreamSigners } from "./stream-keys.ts";
import { resumeStreamLog, type StreamLog } from "./stream-log.ts";

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
    const sealer = await opening;
    if (message.type === "seal") {
      for (const draft of message.drafts) sealer.seal(draft).catch(answers.fail);
      return;
    }
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
    opening.then((sealer) => sealer.close()).catch(() => undefined);
  });
}

async function openSealer(
  { folder, isDurable, fileBytes, lastHash }: SealingOrder,
  wrapLog: (log: StreamLog) => StreamLog,
  answers: Answers,
): Promise<Sealer> {
  const signers = await readStreamSigners(folder);
  const log = wrapLog(await resumeStreamLog({ folder, isDurable, fileBytes }));
  return makeLocalSealer({
    chain: new ReceiptChain(signers, lastHash),
    commit: makeGroupCommit(log, ({ cause }) => answers.fail(cause)),
    onWritten: ({ hash }) => answers.sealed(hash),
  });
}

function receive(port: MessagePort): ToSealing | undefined {
  const received: { readonly message: ToSealing } | undefined = receiveMessageOnPort(port);
  return received?.message;
}

/** What is told to the serving thread; hashes of one write go together. */
class Answers {
  readonly #port: MessagePort;
  #hashes: string[] = [];
  #hasFailed = false;

  constructor(port: MessagePort) {
    this.#port = port;
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
    if (hashes.length > 0 && !this.#hasFailed) this.#tell({ type: "sealed", hashes });
  };

  #tell(message: FromSealing): void {
    this.#port.postMessage(message);
  }
}
