/** Stops a process at one pass of one step and says so, so that whoever started it kills it exactly there. */

import type { StreamLog } from "../../gateway/receipts/stream-log.ts";
import { parseUtf8 } from "../../kernel/bytes.ts";
import type { IndexStore } from "../../ledger/sequence/index-store.ts";
import type { Disk, DiskFile, NewFile } from "../../ledger/storage/disk.ts";
import { writeEach } from "../../ledger/storage/durable-file.ts";
import { isSparePath } from "../../ledger/storage/wal-spares.ts";
import type { StateFiles } from "../../witness/state-files.ts";
import type { Plan, Step } from "./steps.ts";

/** The plan of a process, and how far it is. */
export class Stall {
  #plan: Plan | undefined;
  #passed = 0;
  /** Whoever waits is kept from being collected, and with it the file that it has open. */
  readonly #held: (() => void)[] = [];
  readonly #onStall: (step: Step) => void;

  /** @param onStall  told once when the process stands at the planned step */
  constructor(plan: Plan | undefined, onStall: (step: Step) => void) {
    this.#plan = plan;
    this.#onStall = onStall;
  }

  /** Takes another plan; the one before is forgotten. */
  arm(plan: Plan): void {
    [this.#plan, this.#passed] = [plan, 0];
  }

  /** True if the next `at` of this step does not return. */
  isNext(step: Step): boolean {
    return this.#plan?.step === step && this.#passed === this.#plan.skip;
  }

  /** True if the planned step is one of a file of this kind. */
  isAt(kind: FileKind | undefined): boolean {
    return kind !== undefined && this.#plan?.step.startsWith(`${kind}.`) === true;
  }

  /** Returns at once, except at the planned pass: then never. */
  async at(step: Step | undefined): Promise<void> {
    if (step === undefined || this.#plan?.step !== step) return;
    const isHere = this.isNext(step);
    this.#passed += 1;
    if (!isHere) return;
    this.#onStall(step);
    await new Promise<void>((resolve) => this.#held.push(resolve));
  }
}

/** A file of the ledger's folder, by the name under which its steps are listed. */
type FileKind = "wal" | "spare" | "tile" | "head" | "checkpoint" | "archive";

function kindOf(path: string): FileKind | undefined {
  if (isSparePath(path)) return "spare";
  if (/^wal\/\d+\.wal$/.test(path)) return "wal";
  if (path === "head") return "head";
  if (path.startsWith("checkpoint")) return "checkpoint";
  if (path.startsWith("tile/")) return "tile";
  return path.startsWith("archive/") ? "archive" : undefined;
}

/** The ledger's folder with a stall at each of its writes. New files are written by their thread unless a step of theirs is meant. */
export function stallingDisk({ writeNew, ...disk }: Disk, stall: Stall): Disk {
  const stalling: Disk = {
    ...disk,
    open: async (path) => stallingFile(await disk.open(path), kindOf(path), stall),
    rename: async (from, to) => {
      await disk.rename(from, to);
      await stall.at(renameStep(to));
    },
    syncFolder: async (folder) => {
      await disk.syncFolder(folder);
      const kind = kindOf(folder === "" ? "checkpoint" : `${folder}/0.wal`);
      await stall.at(kind === "spare" || kind === "head" || kind === undefined ? undefined : `${kind}.folder-synced`);
    },
  };
  if (writeNew === undefined) return stalling;
  const isMeant = ({ path }: NewFile): boolean => stall.isAt(kindOf(path));
  return {
    ...stalling,
    writeNew: (files) => (files.some(isMeant) ? writeEach(stalling, files) : writeNew(files)),
  };
}

function stallingFile(file: DiskFile, kind: FileKind | undefined, stall: Stall): DiskFile {
  if (kind === undefined) return file;
  const stalling: DiskFile = {
    ...file,
    write: async (bytes, offset) => {
      // What a crash of the machine may leave of a write: its first half.
      if (stall.isNext(`${kind}.torn`)) await file.write(bytes.subarray(0, bytes.length >> 1), offset);
      await stall.at(`${kind}.torn`);
      await file.write(bytes, offset);
      await stall.at(`${kind}.written`);
    },
    datasync: async () => {
      await file.datasync();
      await stall.at(`${kind}.synced`);
    },
  };
  const { writeSynced } = file;
  if (writeSynced === undefined) return stalling;
  return {
    ...stalling,
    writeSynced: async (bytes, offset) => {
      // One call, unless a step between its two halves is meant.
      if (!stall.isAt(kind)) return writeSynced(bytes, offset);
      await stalling.write(bytes, offset);
      await stalling.datasync();
    },
  };
}

function renameStep(to: string): Step | undefined {
  const kind = kindOf(to);
  if (kind === "wal") return "wal.begun";
  if (kind === "spare") return "wal.retired";
  return kind === undefined || kind === "head" ? undefined : `${kind}.renamed`;
}

/** The index with a stall at its writes. */
export function stallingIndex(store: IndexStore, stall: Stall): IndexStore {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === "write") return writeRows;
      if (name === "sync") return syncRows;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });

  async function writeRows(update: Parameters<IndexStore["write"]>[0]): Promise<void> {
    await stall.at("index.begun");
    await store.write(update);
    await stall.at("index.written");
  }

  async function syncRows(): Promise<void> {
    await store.sync();
    await stall.at("index.synced");
  }
}

/** The ledger's requests to witnesses: signed and not yet sent, cosigned and not yet published. */
export function stallingFetch(stall: Stall): typeof fetch {
  return async (input, init) => {
    await stall.at("cosigning.asked");
    const response = await fetch(input, init);
    await stall.at("cosigning.answered");
    return response;
  };
}

/** The witness's files. */
export function stallingState(files: StateFiles, stall: Stall): StateFiles {
  return {
    ...files,
    replace: async (name, content) => {
      await stall.at("state.begun");
      await files.replace(name, content);
      await stall.at("state.durable");
    },
    append: async (name, content, sync) => {
      await stall.at("state.begun");
      await files.append(name, content, sync);
      await stall.at("state.durable");
    },
  };
}

/** The gateway's stream: a step is named by the first receipt that is written. */
export function stallingFrames(log: StreamLog, stall: Stall): StreamLog {
  return {
    ...log,
    append: async (payloads) => {
      const [first] = payloads;
      const kind = first === undefined ? undefined : receiptKind(first);
      await stall.at(kind === undefined ? undefined : `${kind}.begun`);
      await log.append(payloads);
      await stall.at(kind === undefined ? undefined : `${kind}.durable`);
    },
    close: () => log.close(),
  };
}

function receiptKind(payload: Uint8Array): "decision" | "outcome" | undefined {
  const { kind }: { readonly kind?: unknown } = JSON.parse(parseUtf8(payload));
  return kind === "decision" || kind === "outcome" ? kind : undefined;
}
