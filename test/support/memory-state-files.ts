/** StateFiles of a witness in memory, with faults on demand: a write fails, or fails but keeps its bytes. */

import type { StateFiles } from "../../witness/store.ts";

/** What the next `replace` does. */
export type Fault = "none" | "fails" | "fails but kept";

/** In-memory files that survive a "restart": make a second witness over the same object. */
export interface MemoryStateFiles extends StateFiles {
  readonly files: Map<string, Uint8Array>;
  readonly evidence: Map<string, Uint8Array>;
  /** Applied to the next replace, then reset. */
  fault: Fault;
  /** Awaited inside every replace: a stall hook. */
  beforeReplace: () => Promise<void>;
}

/** Empty files. */
export function makeMemoryStateFiles(): MemoryStateFiles {
  const files = new Map<string, Uint8Array>();
  const evidence = new Map<string, Uint8Array>();
  const made: MemoryStateFiles = {
    files,
    evidence,
    fault: "none",
    beforeReplace: () => Promise.resolve(),
    read: (name) => Promise.resolve(files.get(name)),
    replace: async (name, content) => {
      await made.beforeReplace();
      const { fault } = made;
      made.fault = "none";
      if (fault !== "fails") files.set(name, content);
      if (fault !== "none") throw new Error("injected: the write failed");
    },
    listEvidence: () => Promise.resolve([...evidence.keys()]),
    addEvidence: (name, content) => {
      evidence.set(name, content);
      return Promise.resolve();
    },
  };
  return made;
}
