/**
 * The module of the sealing thread: it alone signs receipts and writes the stream's files. It reads the stream's keys itself
 * and may connect to nothing (egress/thread-guard.ts).
 *
 * There is no timer: whatever has come while one write was under way shares the next one. Writes are made on this thread,
 * which has nothing else to do meanwhile.
 */

import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { ReceiptChain } from "./sealer.ts";
import type { FromSealing, SealingOrder, ToSealing } from "./sealing-messages.ts";
import { readStreamSigners } from "./stream-keys.ts";
import { resumeStreamLog, type StreamLog } from "./stream-log.ts";

/** Serves as the sealing thread. @param port  to the serving thread */
export function serve(port: MessagePort, order: SealingOrder): void {
  serveOver(port, order, (log) => log);
}

/** As `serve`, with another log over the stream's own: for those who stop its writes. */
export function serveOver(port: MessagePort, order: SealingOrder, wrapLog: (log: StreamLog) => StreamLog): void {
  const sealing = new SealingLoop(port, openStream(order, wrapLog));
  port.on("message", (message: ToSealing) => sealing.take(message));
  // Nobody hears of it any more.
  port.on("close", () => sealing.end());
}

type Asked = Extract<ToSealing, { readonly type: "seal" }>["drafts"][number];

interface Stream {
  readonly chain: ReceiptChain;
  readonly log: StreamLog;
}

class SealingLoop {
  readonly #port: MessagePort;
  readonly #stream: Promise<Stream>;
  #asked: Asked[] = [];
  #isRunning = false;
  #isStopping = false;
  #hasFailed = false;

  constructor(port: MessagePort, stream: Promise<Stream>) {
    this.#port = port;
    this.#stream = stream;
    // Told by the loop, when somebody waits for it.
    this.#stream.catch(() => undefined);
  }

  take(message: ToSealing): void {
    this.#queue(message);
    if (!this.#isRunning && !this.#hasFailed) void this.#run();
  }

  /** Lets go of the files. What is being written is written. */
  end(): void {
    this.#hasFailed = true;
    this.#stream.then(({ log }) => log.close()).catch(() => undefined);
  }

  #queue(message: ToSealing): void {
    if (message.type === "seal") this.#asked.push(...message.drafts);
    else this.#isStopping = true;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      const stream = await this.#stream;
      for (let batch = this.#next(); batch.length > 0; batch = this.#next()) await this.#seal(stream, batch);
      if (this.#isStopping) await this.#stop(stream);
    } catch (error) {
      this.end();
      this.#tell({ type: "failed", why: error instanceof Error ? error.message : "unknown" });
    } finally {
      this.#isRunning = false;
    }
  }

  /** Everything that has come, up to a draft that begins a new file. */
  #next(): readonly Asked[] {
    for (let more = this.#receive(); more !== undefined; more = this.#receive()) this.#queue(more);
    const cut = this.#asked.findIndex(({ state }, i) => i > 0 && state !== undefined);
    const batch = cut < 0 ? this.#asked : this.#asked.slice(0, cut);
    this.#asked = cut < 0 ? [] : this.#asked.slice(cut);
    return batch;
  }

  #receive(): ToSealing | undefined {
    const received: { readonly message: ToSealing } | undefined = receiveMessageOnPort(this.#port);
    return received?.message;
  }

  async #seal({ chain, log }: Stream, batch: readonly Asked[]): Promise<void> {
    const state = batch[0]?.state;
    if (state !== undefined) await log.rotate({ ...state, last_hash: chain.last ?? "" });
    const receipts = batch.map(({ draft }) => chain.seal(draft));
    await log.append(receipts.map(({ bytes }) => bytes));
    this.#tell({ type: "sealed", hashes: receipts.map(({ hash }) => hash) });
  }

  async #stop({ log }: Stream): Promise<void> {
    await log.close();
    this.#tell({ type: "stopped" });
    this.#port.close();
  }

  #tell(message: FromSealing): void {
    this.#port.postMessage(message);
  }
}

async function openStream(
  { folder, isDurable, fileBytes, lastHash }: SealingOrder,
  wrapLog: (log: StreamLog) => StreamLog,
): Promise<Stream> {
  const signers = await readStreamSigners(folder);
  const log = wrapLog(await resumeStreamLog({ folder, isDurable, fileBytes }));
  return { chain: new ReceiptChain(signers, lastHash), log };
}
