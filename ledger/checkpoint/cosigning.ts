/**
 * One round: the newest signed checkpoint goes to all witnesses at once. It is published as soon as the quorum is met,
 * and once more when slower witnesses have added their lines; they do not hold up the next round. Without a quorum
 * nothing is published and log proofs stay in the state `logged`, unless the operator has set a time after which the
 * checkpoint is published as one that only the log signed.
 */

import type { VerifiedLine } from "../../kernel/checkpoint/open-note.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { formatNote } from "../../kernel/note/signed-note.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { checkQuorum, type WitnessPolicy } from "../../kernel/witness-policy.ts";
import { AheadClaims, aheadByWord, trimSlashes } from "./ahead-claims.ts";
import type { SignedCheckpoint } from "./checkpointer.ts";
import type { CheckpointSink } from "./publisher.ts";
import {
  type CosigningResult,
  WitnessClient,
  type WitnessClientParts,
  type WitnessEndpoint,
} from "./witness-client.ts";
import type { WitnessHealthView } from "./witness-health.ts";

/** An unchanged log is cosigned again after this time, so that readers see that its witnesses live. */
const REFRESH_SECONDS = 1800n;

/** What a round works with. */
export interface CosigningParts extends WitnessClientParts {
  readonly policy: WitnessPolicy;
  readonly publisher: CheckpointSink;
  readonly logged: () => SignedCheckpoint | undefined;
  readonly nowSeconds: () => bigint;
  /** Publish without a quorum once one has been missing for so long; default: never. */
  readonly degradedAfterSeconds?: bigint | undefined;
  readonly log: Logger;
  /** Told of each witness's result, for metrics. */
  readonly onResult: (url: string, kind: CosigningResult["kind"]) => void;
  readonly onFatal: (error: unknown) => void;
}

/** What came back for one checkpoint. */
interface Collected {
  readonly target: SignedCheckpoint;
  readonly lines: VerifiedLine[];
  readonly asked: Set<WitnessClient>;
  /** Lines of the last publication; undefined before the first. */
  published: number | undefined;
}

/** Collects cosignatures, one round at a time; witnesses that are slower than the quorum finish beside the next one. */
export class Cosigning {
  readonly #parts: CosigningParts;
  readonly #clients: readonly WitnessClient[];
  readonly #claims: AheadClaims;
  readonly #late = new Set<Promise<void>>();
  /** Of the newest round. */
  #latest: Collected | undefined;
  #running: Promise<void> | undefined;
  #publishing: Promise<void> = Promise.resolve();
  #waitingSince: bigint | undefined;
  #stopped = false;

  constructor(parts: CosigningParts) {
    this.#parts = parts;
    this.#claims = new AheadClaims(parts.policy);
    this.#clients = endpointsOf(parts.policy).map((endpoint) => new WitnessClient(endpoint, parts));
  }

  /** How each witness has answered. */
  get health(): readonly WitnessHealthView[] {
    return this.#clients.map((client) => client.health.view());
  }

  /** Runs a round if there is something to publish; resolves when the quorum is met or nobody is left to ask. */
  tick(): Promise<void> {
    const target = this.#parts.logged();
    if (this.#stopped || target === undefined || !this.#isDue(target)) return this.#running ?? Promise.resolve();
    this.#running ??= this.#round(target)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  /** Starts no round any more; resolves when none is in flight. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await Promise.all(this.#late);
    await this.#publishing;
  }

  #fail(error: unknown): void {
    this.#stopped = true;
    this.#parts.onFatal(error);
  }

  #isDue(target: SignedCheckpoint): boolean {
    const published = this.#parts.publisher.published;
    if (published === undefined || target.size > published.size) return true;
    if (this.#clients.length === 0) return false;
    if (this.#missed(target).length > 0) return true;
    // By our own clock: a witness whose clock is wrong must not be asked again and again.
    const { metAtSeconds } = published;
    return metAtSeconds === undefined || this.#parts.nowSeconds() - metAtSeconds >= REFRESH_SECONDS;
  }

  /** Witnesses that were busy, or left alone, when `target` met its quorum, and may be asked for it now. */
  #missed(target: SignedCheckpoint): readonly WitnessClient[] {
    const latest = this.#latest;
    if (latest?.target !== target || latest.published === undefined) return [];
    return this.#clients.filter((client) => client.isFree && !latest.asked.has(client));
  }

  async #round(target: SignedCheckpoint): Promise<void> {
    const missed = this.#missed(target);
    if (missed.length > 0 && this.#latest !== undefined) return this.#collect(this.#latest, missed);
    this.#waitingSince ??= this.#parts.nowSeconds();
    const collected: Collected = { target, lines: [], asked: new Set(), published: undefined };
    this.#latest = collected;
    await this.#publish(collected);
    await this.#collect(
      collected,
      this.#clients.filter((client) => client.isFree),
    );
    await this.#publishDegraded(target);
  }

  /** Asks `clients`; resolves when the quorum is met or all have answered. */
  #collect(collected: Collected, clients: readonly WitnessClient[]): Promise<void> {
    return new Promise<void>((resolve) => {
      for (const client of clients) collected.asked.add(client);
      const asked = clients.map((client) => this.#ask(client, collected, resolve));
      // Slower witnesses add their lines in one more publication, whenever the last of them is done.
      const all = Promise.all(asked).then(() => this.#publish(collected));
      this.#late.add(all);
      void all.then(() => {
        this.#late.delete(all);
        resolve();
      });
    });
  }

  /** Asks one witness; never rejects. */
  async #ask(client: WitnessClient, collected: Collected, onQuorum: () => void): Promise<void> {
    try {
      const result = await client.cosign(collected.target);
      this.#report(client.endpoint, result);
      if (result.kind === "fault" && result.claimsAhead === true) this.#weighClaim(client.endpoint);
      if (result.kind !== "cosigned") return;
      this.#claims.cosigned(client.endpoint.url);
      collected.lines.push(...result.lines);
      if (collected.published !== undefined) return;
      await this.#publish(collected);
      if (collected.published !== undefined) onQuorum();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @throws {CheckError} ERR_WITNESS_AHEAD if this claim makes the first word of a quorum */
  #weighClaim({ url }: WitnessEndpoint): void {
    if (this.#claims.claimed(url)) throw aheadByWord(this.#parts.recordedSize());
  }

  /** Publications follow each other, also those of two rounds. */
  #publish(collected: Collected): Promise<void> {
    this.#publishing = this.#publishing
      .then(() => this.#publishNow(collected))
      .catch((error: unknown) => this.#fail(error));
    return this.#publishing;
  }

  /** Publishes what was collected, if it is a quorum, says more than before, and is no step back. */
  async #publishNow(collected: Collected): Promise<void> {
    const { policy, publisher } = this.#parts;
    const { target, lines, published } = collected;
    const count = lines.length;
    if (this.#stopped || (published !== undefined && count <= published) || !isQuorum(policy, lines)) return;
    if (target.size < (publisher.published?.size ?? 0n)) return;
    await publisher.publish({
      size: target.size,
      root: target.root,
      note: formatNote(target.text, [...target.lines, ...lines.map(({ line }) => line)]),
      metAtSeconds: this.#parts.nowSeconds(),
    });
    collected.published = count;
    this.#waitingSince = undefined;
  }

  /** Without a quorum for as long as the operator allows: what the log alone signed, shown as that and nothing more. */
  async #publishDegraded({ size, root, note }: SignedCheckpoint): Promise<void> {
    const { degradedAfterSeconds: limit, publisher, nowSeconds, log } = this.#parts;
    const since = this.#waitingSince;
    if (limit === undefined || since === undefined || this.#stopped || nowSeconds() - since < limit) return;
    if (size <= (publisher.shown?.size ?? -1n)) return;
    log.warn(
      { size: Number(size), seconds: Number(nowSeconds() - since) },
      "published without a quorum, as configured",
    );
    await publisher.publishUnwitnessed({ size, root, note });
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
    const trimmed = trimSlashes(url);
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
