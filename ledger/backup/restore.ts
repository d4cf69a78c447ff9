/**
 * Makes a data folder from a backup, after asking everybody who may have seen more of the log. A log that goes on from an
 * older state than it has shown signs a second history; nothing on its own disk could tell.
 */

import { CheckError, isCodedError, StoreError } from "../../kernel/errors.ts";
import type { RootHash } from "../../kernel/merkle/hash.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import { openLogCheckpoint, type WitnessPolicy } from "../../kernel/witness-policy.ts";
import { monitoringUrl } from "../checkpoint/witness-view.ts";
import { openDataFolder } from "../fsck/data-folder.ts";
import { Findings } from "../fsck/finding.ts";
import { checkDataFolder } from "../fsck/fsck.ts";
import { readLogStateOf } from "../fsck/log-state-of.ts";
import type { HeadClaim } from "../fsck/tree-audit.ts";
import { makeUpstream } from "../mirror/upstream.ts";
import { backUp } from "./backup.ts";

/** What is restored, and who is asked before. */
export interface RestoreOptions {
  readonly backup: string;
  /** The data folder to make; it must not exist, or be empty. */
  readonly to: string;
  /** Witnesses of the log: those with an address are asked what they have seen. */
  readonly policy: WitnessPolicy;
  /** Prefixes where the log's checkpoints are published: the log itself, its mirrors. */
  readonly published: readonly string[];
  readonly fetch: typeof fetch;
  readonly timeoutMs: number;
  /** Restore although somebody who may have seen more did not answer. */
  readonly isForced: boolean;
  /** Check and ask, and make nothing. */
  readonly isDryRun: boolean;
  readonly workers: number;
}

/** What was found out. */
export interface Restored {
  readonly size: bigint;
  /** Who answered, and with what size; undefined if the log is unknown there. */
  readonly seen: readonly { readonly url: string; readonly size: bigint | undefined }[];
}

/** A checkpoint that somebody showed. */
interface Seen {
  readonly url: string;
  readonly head: { readonly size: bigint; readonly root: RootHash } | undefined;
}

/**
 * Restores a backup.
 *
 * @throws {StoreError} ERR_STORE_CONFLICT if fsck finds faults in the backup; ERR_LOG_UNREACHABLE if somebody does not answer
 *   and it is not forced
 * @throws {CheckError} ERR_LOG_BEHIND if somebody has seen more than the backup holds; ERR_LOG_FORKED if another tree
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { backup, policy, workers } = options;
  const state = await readLogStateOf(await openDataFolder(backup, new Findings()));
  if (state === undefined) throw new StoreError("ERR_FILE_READ", "the backup has no genesis entry");
  // Witnesses and mirrors may show what older keys of the log signed, or newer ones.
  const keys = state.periods.flatMap((period) => period.keys);
  const seen = await askAll(urlsToAsk(state.origin, policy, options), keys, options);
  const claims = seen.flatMap(({ url, head }) =>
    head === undefined ? [] : [{ path: url, name: "the head that was seen", size: head.size, root: head.root }],
  );
  const { size, findings } = await checkDataFolder({ dataDir: backup, workers, claims });
  checkFaults(findings, claims);
  if (!options.isDryRun) await backUp({ dataDir: backup, to: options.to });
  return { size, seen: seen.map(({ url, head }) => ({ url, size: head?.size })) };
}

/** Monitoring paths of the witnesses, and where the log is published. */
function urlsToAsk(origin: string, policy: WitnessPolicy, { published, isForced }: RestoreOptions): readonly string[] {
  const witnesses = policy.witnesses.flatMap(({ url }) => (url === undefined ? [] : [monitoringUrl(url, origin)]));
  const urls = [...new Set([...witnesses, ...published])];
  if (urls.length > 0 || isForced) return urls;
  throw new StoreError(
    "ERR_LOG_UNREACHABLE",
    "want witnesses with addresses, or where the log is published: nobody can be asked",
  );
}

function checkFaults({ faults }: Findings, claims: readonly HeadClaim[]): void {
  const ahead = faults.find(({ path }) => claims.some((claim) => claim.path === path));
  if (ahead !== undefined) throw new CheckError(ahead.code, `${ahead.path}: ${ahead.message}`);
  if (faults.length === 0) return;
  throw new StoreError("ERR_STORE_CONFLICT", `the backup has ${faults.length} faults; fsck names them`);
}

async function askAll(
  urls: readonly string[],
  keys: readonly VerifierKey[],
  options: RestoreOptions,
): Promise<readonly Seen[]> {
  const answers = await Promise.all(urls.map((url) => ask(url, keys, options)));
  return answers.flatMap((answer) => (answer === undefined ? [] : [answer]));
}

/** What is shown at a prefix; undefined if nothing was answered and that is accepted. */
async function ask(url: string, keys: readonly VerifierKey[], options: RestoreOptions): Promise<Seen | undefined> {
  const parts = {
    url,
    fetch: options.fetch,
    timeoutMs: options.timeoutMs,
    attempts: 1,
    sleep: () => Promise.resolve(),
  };
  try {
    const note = await makeUpstream(parts).checkpointOrNothing();
    return { url, head: note === undefined ? undefined : openLogCheckpoint(note, keys).checkpoint };
  } catch (error) {
    if (!isCodedError(error) || !options.isForced) throw error;
    return undefined;
  }
}
