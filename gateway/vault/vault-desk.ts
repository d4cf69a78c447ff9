/** What an operator can do with secrets and kept messages, and what the configuration does with them by the clock. */

import { join } from "node:path";
import { errorCode } from "../../kernel/errors.ts";
import type { Operator } from "../controls/operator.ts";
import type { Schedule } from "../pipeline/timekeeper.ts";
import { withSecrets } from "../receipts/vault.ts";
import { type DiscloserOptions, type DisclosureRequest, disclose, type MadeDisclosure } from "./discloser.ts";
import { Eraser, type EraserOptions, type Erasure, nameOf } from "./eraser.ts";
import { OwedErasures } from "./owed-erasures.ts";
import {
  type FoundReceipts,
  findReceipts,
  parseVaultTarget,
  rangesOf,
  seqsOf,
  streamFolder,
  type VaultTarget,
} from "./stream-search.ts";

/** What the desk works with. */
export interface VaultDeskOptions extends EraserOptions, DiscloserOptions {
  readonly dataSubject: (value: string) => string;
  /** Secrets of older receipts are erased; undefined: none by the clock. */
  readonly eraseAfterDays: number | undefined;
  readonly schedule: Schedule;
  readonly onFault: (fields: object, message: string) => void;
}

/** What an erasure found, and did. */
export type ErasureAnswer = {
  readonly receipts: number;
  /** Calls among them that have not ended: what their outcomes commit to is erased when it is there. */
  readonly open_calls: number;
  /** Numbers of the receipts of it; none if nothing was erased. */
  readonly recorded: readonly number[];
};

const DAY_MS = 86_400_000;
const RETENTION_MS = 3_600_000;
/** How often it is looked whether erased calls have ended. */
const OWED_MS = 60_000;

/** Discloses and erases. */
export class VaultDesk {
  readonly #options: VaultDeskOptions;
  readonly #eraser: Eraser;
  readonly #owed: OwedErasures;
  #stops: readonly (() => void)[] = [];
  /** Where the clock's search goes on, by stream. */
  readonly #looked = new Map<string, number>();
  #retaining: Promise<void> | undefined;
  #settling: Promise<void> | undefined;

  constructor(options: VaultDeskOptions) {
    this.#options = options;
    this.#eraser = new Eraser(options);
    this.#owed = new OwedErasures(options.dataDir);
  }

  /** Ends an erasure that a crash cut off, and begins to keep the clock. @throws {StoreError} ERR_CONTROL_FILE */
  async start(): Promise<void> {
    const { eraseAfterDays, schedule, onFault } = this.#options;
    if (await this.#eraser.recover()) onFault({}, "an erasure that the last run did not end was carried out");
    await this.#owed.read();
    await this.#settleOwed();
    const settle = schedule(OWED_MS, () => {
      this.#settling ??= this.#settleOwed().finally(() => {
        this.#settling = undefined;
      });
    });
    this.#stops = [settle];
    if (eraseAfterDays === undefined) return;
    const retain = schedule(RETENTION_MS, () => {
      this.#retaining ??= this.#retain(eraseAfterDays).finally(() => {
        this.#retaining = undefined;
      });
    });
    this.#stops = [settle, retain];
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops) stop();
    await this.#retaining;
    await this.#settling;
  }

  /** @throws as `disclose` */
  disclose(request: DisclosureRequest, operator: Operator): Promise<MadeDisclosure> {
    return disclose(this.#options, request, operator);
  }

  /**
   * Erases what `text` names; `isDryRun`: only counts it.
   *
   * @throws {FormatError} ERR_CONTROL_TARGET
   */
  async erase(text: string, operator: Operator, isDryRun: boolean): Promise<ErasureAnswer> {
    const target = parseVaultTarget(text, this.#options.dataSubject);
    const found = await this.#unerased(await findReceipts(this.#options.dataDir, target));
    const answer = { receipts: sum(found, ({ count }) => count), open_calls: sum(found, ({ open }) => open.length) };
    if (isDryRun) return { ...answer, recorded: [] };
    return { ...answer, recorded: await this.#erase({ scope: target.scope, operator, found }) };
  }

  /** What is owed is durable first: a crash in between erases an outcome too many, and none too few. */
  async #erase({
    found,
    scope,
    operator,
  }: Omit<Erasure, "found"> & { readonly found: readonly FoundReceipts[] }): Promise<readonly number[]> {
    const by = operator === undefined ? {} : { operator: nameOf(operator) };
    const open = found.filter((one) => one.open.length > 0);
    await this.#owed.add(open.map(({ stream, open: decisions }) => ({ scope, stream, decisions, ...by })));
    return this.#eraser.erase({ scope, operator, found });
  }

  /** Erases what calls have brought that were erased before they ended. */
  async #settleOwed(): Promise<void> {
    if (this.#owed.isEmpty) return;
    try {
      for (const due of await this.#owed.due()) {
        const { scope, operator } = due.owed;
        const by = operator === undefined ? undefined : { ...operator, roles: [] };
        await this.#eraser.erase({ scope, operator: by, found: [due.found] });
        await this.#owed.settle(due);
      }
    } catch (error) {
      const { onFault } = this.#options;
      onFault({ code: errorCode(error) }, "what erased calls brought could not be erased");
    }
  }

  async #retain(days: number): Promise<void> {
    const { dataDir, nowMs, onFault } = this.#options;
    const target: VaultTarget = { scope: "age", beforeMs: nowMs() - days * DAY_MS };
    try {
      const aged = await findReceipts(dataDir, target, (stream) => this.#looked.get(stream) ?? 0);
      const found = await this.#unerased(aged);
      await this.#erase({ scope: "age", operator: undefined, found });
      for (const { stream, ranges } of aged) this.#looked.set(stream, (ranges.at(-1)?.last ?? 0) + 1);
    } catch (error) {
      onFault({ code: errorCode(error) }, "what is too old could not be erased");
    }
  }

  /** Without what was erased before: a second erasure of the same has nothing to say. */
  async #unerased(found: readonly FoundReceipts[]): Promise<readonly FoundReceipts[]> {
    const left: FoundReceipts[] = [];
    for (const one of found) {
      const vault = join(streamFolder(this.#options.dataDir, one.stream), "vault");
      const seqs = await withSecrets(vault, seqsOf(one.ranges));
      if (seqs.length > 0) left.push({ ...one, ranges: rangesOf(seqs), count: seqs.length });
    }
    return left;
  }
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
