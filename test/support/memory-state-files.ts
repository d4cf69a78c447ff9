/** StateFiles of a witness in memory, with faults on demand: a write fails, or fails but keeps its bytes. */

import { concat } from "../../kernel/bytes.ts";
import type { FenceFile } from "../../witness/fence.ts";
import type { StateFiles } from "../../witness/state-files.ts";

/** What the next write of the journal does. `torn` keeps half of the bytes. */
export type Fault = "none" | "fails" | "fails but kept" | "torn";

/** In-memory files that survive a "restart": make a second witness over the same object. */
export interface MemoryStateFiles extends StateFiles {
  readonly files: Map<string, Uint8Array>;
  /** Applied to the next synced append, then reset. */
  fault: Fault;
  /** Awaited inside every synced append: a stall hook. */
  beforeWrite: () => Promise<void>;
  /** Synced appends so far. */
  syncs: number;
}

/** Empty files. */
export function makeMemoryStateFiles(): MemoryStateFiles {
  const files = new Map<string, Uint8Array>();
  const add = (name: string, content: Uint8Array): void => {
    files.set(name, concat(files.get(name) ?? new Uint8Array(0), content));
  };
  const made: MemoryStateFiles = {
    files,
    fault: "none",
    beforeWrite: () => Promise.resolve(),
    syncs: 0,
    read: (name) => Promise.resolve(files.get(name)),
    list: (folder) => {
      const prefix = folder === "" ? "" : `${folder}/`;
      return Promise.resolve(
        [...files.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length)),
      );
    },
    replace: (name, content) => {
      files.set(name, content);
      return Promise.resolve();
    },
    append: async (name, content, sync) => {
      if (!sync) return add(name, content);
      await made.beforeWrite();
      const { fault } = made;
      made.fault = "none";
      if (fault === "none" || fault === "fails but kept") add(name, content);
      if (fault === "torn") add(name, content.subarray(0, content.length / 2));
      if (fault !== "none") throw new Error("injected: the write failed");
      made.syncs += 1;
    },
    remove: (name) => {
      files.delete(name);
      return Promise.resolve();
    },
  };
  return made;
}

/** A fence file in memory; `bytes` is what is on the disk. */
export interface MemoryFence extends FenceFile {
  bytes: Uint8Array | undefined;
}

/** No file yet. */
export function makeMemoryFence(): MemoryFence {
  const made: MemoryFence = {
    bytes: undefined,
    read: () => Promise.resolve(made.bytes),
    write: (bytes, offset) => {
      const whole = new Uint8Array(Math.max(made.bytes?.length ?? 0, offset + bytes.length));
      whole.set(made.bytes ?? []);
      whole.set(bytes, offset);
      made.bytes = whole;
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
  return made;
}
