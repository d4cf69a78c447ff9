/** A recorder over a sealing thread on the test's own thread, for a stream in a folder that is removed. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeRecorder, type Recorded, type Recorder } from "../../gateway/receipts/recorder.ts";
import { makeSealing, type SealingOptions } from "../../gateway/receipts/sealing.ts";
import type { SealingOrder } from "../../gateway/receipts/sealing-messages.ts";
import { serve } from "../../gateway/receipts/sealing-thread.ts";
import { openStreamFolder, type StreamFolder, type StreamPlace } from "../../gateway/receipts/stream-folder.ts";
import { openStreamLog } from "../../gateway/receipts/stream-log.ts";
import { type InnerThread, startInnerThread } from "./inner-thread.ts";
import { seedOf } from "./log-keys.ts";
import { openingThenHeartbeats } from "./receipts.ts";

/** What a recorder is opened with. */
export interface SealingChanges {
  /** Of a file. */
  readonly maxBytes?: number;
  readonly order?: Partial<SealingOrder>;
  readonly sealing?: Partial<Pick<SealingOptions, "openCalls" | "wrapLog">>;
}

/** An opened recorder. */
export interface OpenSealing {
  readonly recorder: Recorder;
  readonly thread: InnerThread;
  readonly failures: readonly string[];
}

/** As if each receipt opened a call or ended it. */
export function oneCallAtATime(): () => number {
  let calls = 0;
  return () => {
    calls = 1 - calls;
    return calls;
  };
}

/** One stream. */
export class SealingBench {
  readonly dataDir: string;
  readonly place: StreamPlace;
  /** The next receipt. */
  readonly next: ReturnType<typeof openingThenHeartbeats>;
  readonly #folder: StreamFolder;

  private constructor(dataDir: string, folder: StreamFolder, place: StreamPlace) {
    this.dataDir = dataDir;
    this.#folder = folder;
    this.place = place;
    this.next = openingThenHeartbeats({ instance: place.instanceSigner, receipt: place.receiptSigner });
  }

  static async make(): Promise<SealingBench> {
    const dataDir = mkdtempSync(join(tmpdir(), "countersign-sealing-"));
    const folder = await openStreamFolder(dataDir, (length) => crypto.getRandomValues(new Uint8Array(length)));
    return new SealingBench(dataDir, folder, await folder.create());
  }

  async remove(): Promise<void> {
    await this.#folder.release();
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  /** A recorder over a sealing thread that goes on where the files end. */
  async open({ maxBytes, order, sealing }: SealingChanges = {}): Promise<OpenSealing> {
    const { place } = this;
    const { log, tip, book, fileBytes } = await openStreamLog({ folder: place.folder, isDurable: true, from: 0 });
    await log.close();
    const whole = { folder: place.folder, isDurable: true, fileBytes, lastHash: tip.lastHash, ...order };
    const thread = startInnerThread<SealingOrder>(serve, whole);
    const failures: string[] = [];
    const recorder = makeRecorder({
      stream: place.stream,
      nextSeq: tip.nextSeq,
      sealer: makeSealing({
        thread: thread.thread,
        folder: place.folder,
        signers: place,
        openCalls: oneCallAtATime(),
        onFailed: ({ message }) => failures.push(message),
        ...sealing,
      }),
      vault: { prepare: () => undefined, secret: (seq) => seedOf(seq & 0xff) },
      receiptKey: place.receiptSigner.publicKey,
      instanceKey: place.instanceSigner.publicKey,
      attestation: { state: "not_available", reason: "attestation.software" },
      nowMs: () => 1_700_000_000_000,
      files: {
        fileBytes,
        maxBytes: maxBytes ?? Number.MAX_SAFE_INTEGER,
        state: (nextSeq) => book.state(nextSeq),
      },
      onPlaced: (body) => book.apply(body),
      onWritten: ({ seq, hash }) => book.seal(seq, hash),
    });
    return { recorder, thread, failures };
  }

  /** Appended in one turn. */
  appendSome(recorder: Recorder, count: number): Promise<readonly Recorded[]> {
    return Promise.all(Array.from({ length: count }, () => recorder.append(this.next)));
  }

  /** Appends one after another, until one was sealed on the serving thread. @returns how many */
  async appendUntilLent({ recorder, thread }: OpenSealing): Promise<number> {
    for (let count = 1; ; count += 1) {
      const heard = thread.heard.length;
      await recorder.append(this.next);
      if (thread.heard.length === heard) return count;
    }
  }
}
