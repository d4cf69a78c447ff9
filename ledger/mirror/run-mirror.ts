/** Runs a mirror: opens its folder under the policy, pulls once or again and again. */

import { setTimeout as sleep } from "node:timers/promises";
import { isCodedError, StoreError } from "../../kernel/errors.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import type { WitnessPolicy } from "../../kernel/witness-policy.ts";
import type { Disk } from "../storage/disk.ts";
import { lockFolder } from "../storage/folder-lock.ts";
import { makeFolderDurably } from "../storage/make-folder.ts";
import { makeNodeDisk } from "../storage/node-disk.ts";
import { LogFollow } from "./log-follow.ts";
import { MirrorStore, type OpenNote } from "./mirror-store.ts";
import { type Pulled, pullOnce } from "./pull.ts";
import { makeUpstream, type UpstreamParts } from "./upstream.ts";

/** What a mirror runs with. */
export interface MirrorOptions {
  readonly folder: string;
  readonly upstream: Omit<UpstreamParts, "sleep">;
  readonly policy: WitnessPolicy;
  /** Keys of the log beside those of the policy. */
  readonly logKeys: readonly VerifierKey[];
  /** The one origin that is mirrored here; without it the first checkpoint decides. */
  readonly origin?: string;
  readonly onProgress?: (done: number, total: number) => void;
}

/** A mirror whose folder is locked. */
export interface Mirror {
  /** One round. @throws as `pullOnce` */
  readonly pull: () => Promise<Pulled>;
  /**
   * Rounds until `signal` aborts; what passes by itself (ERR_LOG_UNREACHABLE) is told and tried again.
   *
   * @throws anything else: the log contradicts itself, or the disk failed
   */
  readonly follow: (everyMs: number, signal: AbortSignal, onFault: (error: StoreError) => void) => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Opens a mirror's folder, and makes it if it is new.
 *
 * @throws {StoreError} ERR_FOLDER_LOCKED; as `openWitnessedCheckpoint` if the folder's own notes fail the policy
 */
export async function openMirror(options: MirrorOptions): Promise<Mirror> {
  await makeFolderDurably(options.folder);
  const lock = await lockFolder(options.folder);
  const disk = makeNodeDisk(options.folder);
  const opening = openFollowed(disk, options);
  const {
    follow: log,
    openNote,
    store,
  } = await opening.catch(async (error: unknown) => {
    await lock.release();
    throw error;
  });
  const upstream = makeUpstream({ ...options.upstream, sleep: (ms) => sleep(ms) });
  const { onProgress } = options;
  const parts = { store, upstream, openNote, closesLog: log.closesLog, ...(onProgress && { onProgress }) };
  const pull = async (): Promise<Pulled> => {
    try {
      return await pullOnce(parts);
    } catch (error) {
      // Signed by a key that nobody told us of: perhaps the log says how it came to it.
      const isUnknownKey = isCodedError(error) && error.code === "ERR_LOG_SIGNATURE";
      if (!isUnknownKey || !(await log.learn(upstream))) throw error;
      return pullOnce(parts);
    }
  };
  return { pull, follow: makeFollow(pull), close: lock.release };
}

interface Followed {
  readonly follow: LogFollow;
  readonly openNote: OpenNote;
  readonly store: MirrorStore;
}

async function openFollowed(disk: Disk, options: MirrorOptions): Promise<Followed> {
  const follow = await LogFollow.open(disk, options.policy, options.logKeys);
  const openNote = makeNoteOpener(options, follow);
  return { follow, openNote, store: await MirrorStore.open(disk, openNote) };
}

/** Opens notes under the policy, of one origin only. */
function makeNoteOpener({ origin }: MirrorOptions, follow: LogFollow): OpenNote {
  let wanted = origin;
  return (note) => {
    const { checkpoint } = follow.open(note);
    wanted ??= checkpoint.origin;
    if (checkpoint.origin !== wanted) {
      throw new StoreError("ERR_ORIGIN", `the mirror is of ${wanted}, the checkpoint of ${checkpoint.origin}`);
    }
    return { size: checkpoint.size, root: checkpoint.root, note };
  };
}

function makeFollow(pull: () => Promise<Pulled>): Mirror["follow"] {
  return async (everyMs, signal, onFault) => {
    while (!signal.aborted) {
      try {
        await pull();
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== "ERR_LOG_UNREACHABLE") throw error;
        onFault(error);
      }
      await sleep(everyMs, undefined, { signal }).catch((error: unknown) => {
        if (isCodedError(error) || !signal.aborted) throw error;
      });
    }
  };
}
