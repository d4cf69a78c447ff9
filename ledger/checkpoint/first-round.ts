/**
 * Asks the witnesses what they have seen before the first signature of a run. A log that goes on from an older copy of
 * its folder, or from a new folder under its old name, signs a second history; nothing on its own disk could tell, and
 * its own witnesses can. Nothing is signed for the question: the monitoring path shows the newest checkpoint, and where a
 * witness has none, the checkpoint that is already published is submitted again.
 */

import { CheckError } from "../../kernel/errors.ts";
import { proveConsistency } from "../../kernel/merkle/prove.ts";
import { formatNote, formatSignatureLine, parseNote } from "../../kernel/note/signed-note.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import type { Logger } from "../../kernel/service/service.ts";
import type { WitnessPolicy } from "../../kernel/witness-policy.ts";
import { checkHead } from "../recovery/check-heads.ts";
import type { TreeHead } from "../storage/head-store.ts";
import type { Tree } from "../tree/tree.ts";
import { AheadClaims, aheadByWord } from "./ahead-claims.ts";
import type { SignedCheckpoint } from "./checkpointer.ts";
import { endpointsOf } from "./cosigning.ts";
import type { PublishedCheckpoint } from "./publisher.ts";
import { WitnessClient, type WitnessEndpoint } from "./witness-client.ts";
import { readWitnessView } from "./witness-view.ts";

/** The whole question may delay a start by so much. */
export const FIRST_ROUND_MS = 2000;

/** What the question is asked with. */
export interface FirstRoundParts {
  readonly origin: string;
  readonly policy: WitnessPolicy;
  readonly logKeys: readonly VerifierKey[];
  /** The tree as the disk derives it. */
  readonly tree: Tree;
  readonly published: PublishedCheckpoint | undefined;
  readonly fetch: typeof fetch;
  /** Bound for each witness, all its requests together. */
  readonly timeoutMs: number;
  readonly nowMs: () => number;
  readonly log: Logger;
}

/**
 * Asks every witness of the policy at once. One that cannot be reached, answers late or answers nonsense is logged and
 * changes nothing.
 *
 * @throws {CheckError} ERR_WITNESS_AHEAD if one shows a larger tree, signed by this log, than the disk derives, or if a
 *   quorum that none can be had without claims one
 * @throws {StoreError} ERR_LOG_FORKED if one shows a checkpoint, signed by this log, of another tree
 */
export async function askWitnesses(parts: FirstRoundParts): Promise<void> {
  const claims = new AheadClaims(parts.policy);
  const asking = endpointsOf(parts.policy).map(async (endpoint) => {
    const reason = await inTime(ask(endpoint, parts, claims), parts.timeoutMs);
    if (reason === undefined) return;
    parts.log.warn(
      { witness: endpoint.url, reason },
      "a witness did not say what it has seen before the first signature",
    );
  });
  await Promise.all(asking);
}

/** @returns the reason why nothing was learned, or undefined */
async function ask(
  endpoint: WitnessEndpoint,
  parts: FirstRoundParts,
  claims: AheadClaims,
): Promise<string | undefined> {
  const shown = await readWitnessView(endpoint.url, parts);
  if (typeof shown === "string") return shown;
  if (shown !== undefined) {
    await checkShown(endpoint.url, shown, parts.tree);
    return undefined;
  }
  const { tree, published } = parts;
  if (published === undefined) return undefined;
  const client = new WitnessClient(endpoint, {
    fetch: parts.fetch,
    timeoutMs: parts.timeoutMs,
    proveConsistency: (oldSize, size) => proveConsistency(oldSize, size, tree.reader(size)),
    recordedSize: () => tree.size,
    // It was asked a moment ago, and showed nothing.
    readShownSize: () => Promise.resolve(undefined),
    nowMs: parts.nowMs,
  });
  const result = await client.cosign(asSigned(parts.origin, published));
  if (result.kind !== "fault") return undefined;
  if (result.claimsAhead === true && claims.claimed(endpoint.url)) throw aheadByWord(tree.size);
  return result.reason;
}

async function checkShown(url: string, shown: TreeHead, tree: Tree): Promise<void> {
  if (shown.size > tree.size) {
    const what = `${url} shows a checkpoint of size ${shown.size}, the disk gives ${tree.size}`;
    throw new CheckError("ERR_WITNESS_AHEAD", what);
  }
  if (shown.size > 0n) await checkHead(tree, shown, `the checkpoint that ${url} shows`);
}

/** The published checkpoint with the log's own signatures alone. */
function asSigned(origin: string, { size, root, note }: PublishedCheckpoint): SignedCheckpoint {
  const { text, signatures } = parseNote(note);
  const lines = signatures
    .filter(({ name }) => name === origin)
    .map(({ name, keyId, payload }) => formatSignatureLine(name, keyId, payload));
  return { size, root, text, lines, note: formatNote(text, lines) };
}

function inTime(asking: Promise<string | undefined>, timeoutMs: number): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, "no answer in time");
  });
  return Promise.race([asking, late]).finally(() => clearTimeout(timer));
}
