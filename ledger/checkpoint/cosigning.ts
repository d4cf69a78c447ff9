/**
 * One round: the newest signed checkpoint goes to all witnesses at once. It is published as soon as the quorum is met,
 * and once more when slower witnesses have added their lines. Without a quorum nothing is published: log proofs stay
 * in the state `logged`.
 */

import type { VerifiedLine } from "../../kernel/checkpoint/open-note.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { formatNote } from "../../kernel/note/signed-note.ts";
import { checkQuorum, type WitnessPolicy } from "../../kernel/witness-policy.ts";
import type { Logger } from "../service.ts";
import type { SignedCheckpoint } from "./checkpointer.ts";
import type { Publisher } from "./publisher.ts";
import {
  type CosigningResult,
  WitnessClient,
  type WitnessClientParts,
  type WitnessEndpoint,
} from "./witness-client.ts";

/** What a round works with. */
export interface CosigningParts extends WitnessClientParts {
  readonly policy: WitnessPolicy;
  readonly publisher: Publisher;
  readonly logged: () => SignedCheckpoint | undefined;
  readonly nowSeconds: () => bigint;
  /** Age after which an unchanged checkpoint is cosigned again. */
  readonly refreshSeconds: bigint;
  readonly log: Logger;
  /** Told of each witness's result, for metrics. */
  readonly onResult: (url: string, kind: CosigningResult["kind"]) => void;
  readonly onFatal: (error: unknown) => void;
}

/** Collects cosignatures, one round at a time. */
export class Cosigning {
  readonly #parts: CosigningParts;
  readonly #clients: readonly WitnessClient[];
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(parts: CosigningParts) {
    this.#parts = parts;
    this.#clients = endpointsOf(parts.policy).map((endpoint) => new WitnessClient(endpoint, parts));
  }

  /** Runs a round if there is something to publish; resolves when every witness has answered or failed. */
  tick(): Promise<void> {
    const target = this.#parts.logged();
    if (this.#stopped || target === undefined || !this.#isDue(target)) return this.#running ?? Promise.resolve();
    this.#running ??= this.#round(target)
      .catch((error: unknown) => {
        this.#stopped = true;
        this.#parts.onFatal(error);
      })
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  /** Starts no round any more; resolves when none is in flight. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  #isDue(target: SignedCheckpoint): boolean {
    const published = this.#parts.publisher.published;
    if (published === undefined || target.size > published.size) return true;
    if (this.#clients.length === 0) return false;
    // By our own clock: a witness whose clock is wrong must not be asked again and again.
    const { metAtSeconds } = published;
    return metAtSeconds === undefined || this.#parts.nowSeconds() - metAtSeconds >= this.#parts.refreshSeconds;
  }

  async #round(target: SignedCheckpoint): Promise<void> {
    const lines: VerifiedLine[] = [];
    // Publications follow each other, also when two witnesses answer at the same time.
    let publishing = this.#publishIfQuorum(target, lines, 0);
    const ask = async (client: WitnessClient): Promise<void> => {
      const result = await client.cosign(target);
      this.#report(client.endpoint, result);
      if (result.kind !== "cosigned") return;
      lines.push(...result.lines);
      publishing = publishing.then((count) => (count > 0 ? count : this.#publishIfQuorum(target, lines, count)));
    };
    const settled = await Promise.allSettled(this.#clients.map(ask));
    const count = await publishing;
    const failed = settled.find((each) => each.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    if (count > 0) await this.#publishIfQuorum(target, lines, count);
  }

  /** @returns the number of cosignatures that are published, 0 without a quorum */
  async #publishIfQuorum(target: SignedCheckpoint, lines: readonly VerifiedLine[], count: number): Promise<number> {
    const { policy, publisher } = this.#parts;
    if (this.#stopped || (count > 0 && lines.length <= count) || !isQuorum(policy, lines)) return count;
    const published = lines.length;
    await publisher.publish({
      size: target.size,
      root: target.root,
      note: formatNote(target.text, [...target.lines, ...lines.map(({ line }) => line)]),
      metAtSeconds: this.#parts.nowSeconds(),
    });
    return published;
  }

  #report(endpoint: WitnessEndpoint, result: CosigningResult): void {
    this.#parts.onResult(endpoint.url, result.kind);
    if (result.kind === "fault") {
      this.#parts.log.warn({ witness: endpoint.url, reason: result.reason }, "a witness did not cosign");
    }
  }
}

/** The witnesses of a policy that have an address. Two lines with the same one are one witness with two keys. */
export function endpointsOf(policy: WitnessPolicy): readonly WitnessEndpoint[] {
  const byUrl = new Map<string, WitnessEndpoint>();
  for (const { url, key } of policy.witnesses) {
    if (url === undefined) continue;
    const trimmed = url.replace(/\/+$/, "");
    byUrl.set(trimmed, { url: trimmed, keys: [...(byUrl.get(trimmed)?.keys ?? []), key] });
  }
  return [...byUrl.values()];
}

function isQuorum(policy: WitnessPolicy, lines: readonly VerifiedLine[]): boolean {
  try {
    checkQuorum(
      policy,
      lines.map(({ key }) => key),
    );
    return true;
  } catch (error) {
    if (isCodedError(error) && error.code === "ERR_QUORUM") return false;
    throw error;
  }
}
