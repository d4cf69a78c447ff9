/**
 * One data folder from its first start to its last: a ledger with its witnesses and clients, killed again and again, and at
 * the end read as a whole. Throws what must not have happened.
 */

import { join } from "node:path";
import { makeCosigner } from "../../kernel/checkpoint/note-signer.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { originHash } from "../../witness/state-book.ts";
import { LEDGER_KEYS, LEDGER_ORIGIN } from "../support/ledger-service.ts";
import { Child, pause } from "./child.ts";
import type { Report } from "./child-side.ts";
import type { Client } from "./client.ts";
import { checkAll } from "./final-check.ts";
import type { GatewayStart } from "./gateway-process.ts";
import { KillQueue } from "./kill-queue.ts";
import type { LedgerStart } from "./ledger-process.ts";
import { Observer } from "./observer.ts";
import { freePort } from "./ports.ts";
import { untilDone } from "./progress.ts";
import { Random } from "./random.ts";
import { RawWriter } from "./raw-writer.ts";
import type { Kill } from "./schedule.ts";
import type { LogKind, Plan, Step } from "./steps.ts";
import { StreamWriter } from "./stream-writer.ts";
import type { Tally } from "./tally.ts";
import type { WitnessStart } from "./witness-process.ts";

const RAW_WRITERS = 16;
const STREAM_WRITERS = 3;
const WITNESSES = 2;
/** A step that a process that serves does not pass within this time is given up: it is killed where it is. */
const STEP_LIMIT_MS = 15_000;
/**
 * Time in which a witnessed checkpoint must come that covers more. A ledger leaves a witness alone for up to 30 s after failures, and waits
 * 10 s for its answer.
 */
const COVER_LIMIT_MS = 60_000;
/** Time in which the gateway must say that more of its receipts are proven, or end. */
const DRAIN_LIMIT_MS = 90_000;

/** What an epoch is made of. */
export interface EpochOptions {
  readonly folder: string;
  readonly kind: LogKind;
  readonly seed: number;
  readonly number: number;
  readonly kills: readonly Kill[];
  readonly tally: Tally;
}

/** Runs an epoch. @throws Error naming the first thing that must not have happened */
export async function runEpoch(options: EpochOptions): Promise<void> {
  const epoch = new Epoch(options, await freePort());
  try {
    await epoch.run();
  } catch (error) {
    // What a client sees is a consequence of what a process said.
    epoch.failOnFaults(error);
    throw error;
  } finally {
    await epoch.end();
  }
}

class Epoch {
  readonly #options: EpochOptions;
  readonly #port: number;
  readonly #url: string;
  readonly #random: Random;
  readonly #writers: readonly (RawWriter | StreamWriter)[];
  readonly #roots = new Map<bigint, string>();
  readonly #observers: Observer[] = [];
  readonly #witnesses: { child: Child; readonly start: WitnessStart }[] = [];
  readonly #faults: string[] = [];
  readonly #calls: { readonly state: string; readonly seq: number }[] = [];
  #policy = "";
  #ledger: Child | undefined;
  #gateway: Child | undefined;

  constructor(options: EpochOptions, port: number) {
    this.#options = options;
    this.#port = port;
    this.#url = `http://127.0.0.1:${port}`;
    this.#random = new Random(options.seed, `epoch ${options.number}`);
    this.#writers =
      options.kind === "raw"
        ? Array.from({ length: RAW_WRITERS }, (_, i) => new RawWriter(this.#url, `w${i}`))
        : Array.from({ length: STREAM_WRITERS }, (_, i) => new StreamWriter(this.#url, `g${i}`));
  }

  async run(): Promise<void> {
    await this.#startWitnesses();
    if (this.#options.kind === "receipts") this.#gateway = this.#startGateway();
    for (const client of this.#clients()) client.start();
    const wrong = Promise.race(this.#clients().map((client) => client.watch()));
    wrong.catch(() => undefined);
    const kills = new KillQueue(this.#options.kills);
    for (let kill = kills.next(); kill !== undefined; kill = kills.next()) {
      const isReached = await Promise.race([this.#kill(kill), wrong]);
      this.failOnFaults();
      if (!isReached) kills.missed(kill);
    }
    await this.#finish();
  }

  /** Kills what still runs. */
  async end(): Promise<void> {
    for (const client of this.#clients()) client.stop().catch(() => undefined);
    const children = [this.#gateway, this.#ledger, ...this.#witnesses.map(({ child }) => child)];
    for (const child of children) if (child?.isAlive === true) await child.kill();
  }

  #clients(): readonly Client[] {
    return [...this.#writers, ...this.#observers];
  }

  /** @returns whether the process stood at the step of the kill, if that names one */
  async #kill(kill: Kill): Promise<boolean> {
    if (kill.victim === "ledger") {
      const child = this.#ledger ?? this.#startLedger(kill.plan);
      const isReached = await this.#killAt(child, kill, this.#ledger !== undefined);
      this.#ledger = undefined;
      return isReached;
    }
    await this.#ensureLedger();
    if (kill.victim === "gateway") {
      const child = this.#gateway ?? this.#startGateway();
      const isReached = await this.#killAt(child, kill, true);
      this.#gateway = this.#startGateway();
      // While the ledger can be asked: a gateway that cannot compare its tip begins a new stream, as it must.
      await this.#mustServe(this.#gateway, "gateway");
      return isReached;
    }
    const witness = this.#witnesses[this.#random.below(this.#witnesses.length)];
    if (witness === undefined) throw new Error("no witness");
    const isReached = await this.#killAt(witness.child, kill, true);
    witness.child = this.#child("witness-process", witness.start);
    await this.#mustServe(witness.child, "witness");
    return isReached;
  }

  /** @param isRunning  true if the process was started without this kill's plan @returns as `#kill` */
  async #killAt(child: Child, { victim, plan, isServing, delayMs }: Kill, isRunning: boolean): Promise<boolean> {
    let step: Step | undefined;
    if (plan === undefined) {
      if (isServing) await this.#mustServe(child, victim);
    } else {
      if (isRunning) child.arm(plan);
      // A start is not held against the step: others may have the processors.
      await child.ready();
      step = await child.stalled(STEP_LIMIT_MS);
    }
    await pause(delayMs);
    if (!child.isAlive) throw new Error(`the ${victim} ended by itself`);
    await child.kill();
    this.#options.tally.killed(victim, plan?.step, step !== undefined);
    return plan === undefined || step !== undefined;
  }

  async #mustServe(child: Child, name: string): Promise<void> {
    if ((await child.ready()) === undefined) throw new Error(`the ${name} did not start`);
  }

  /** @throws Error with the first fault that a process reported */
  failOnFaults(cause?: unknown): void {
    const [first] = this.#faults;
    if (first !== undefined) throw new Error(`after ${this.#options.tally.kills} kills, ${first}`, { cause });
  }

  async #ensureLedger(): Promise<Child> {
    this.#ledger ??= this.#startLedger(undefined);
    await this.#mustServe(this.#ledger, "ledger");
    return this.#ledger;
  }

  #startLedger(plan: Plan | undefined): Child {
    const start: LedgerStart = {
      dataDir: join(this.#options.folder, "ledger"),
      port: this.#port,
      kind: this.#options.kind,
      policy: this.#policy,
      ...(plan === undefined ? {} : { plan }),
    };
    return this.#child("ledger-process", start);
  }

  #startGateway(): Child {
    const dataDir = join(this.#options.folder, "gateway");
    const start: GatewayStart = { dataDir, ledgerUrl: this.#url, policy: this.#policy };
    return this.#child("gateway-process", start);
  }

  #child(script: string, start: object): Child {
    return new Child(script, start, (report: Report) => {
      if (report.kind === "fault") this.#faults.push(`${script}: ${report.what}`);
      if (report.kind === "call") this.#calls.push(report);
      if (report.kind === "started" && report.cost !== undefined) this.#options.tally.started(report.cost);
    });
  }

  async #startWitnesses(): Promise<void> {
    const lines = LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}`);
    const monitored: string[] = [];
    for (let i = 1; i <= WITNESSES; i += 1) {
      const port = await freePort();
      const [name, seedByte] = [`witness.example/${i}`, 60 + i];
      const start = { dataDir: join(this.#options.folder, `witness-${i}`), port, name, seedByte };
      const child = this.#child("witness-process", start);
      await this.#mustServe(child, "witness");
      this.#witnesses.push({ child, start });
      const { key } = makeCosigner(name, 0x04, new Uint8Array(32).fill(seedByte));
      lines.push(`witness w${i} ${formatVerifierKey(key)} http://127.0.0.1:${port}/`);
      monitored.push(`http://127.0.0.1:${port}/${originHash(LEDGER_ORIGIN)}/checkpoint`);
    }
    this.#policy = `${lines.join("\n")}\ngroup all ${WITNESSES} w1 w2\nquorum all\n`;
    // One observer each: a witness that is down must not keep anybody from looking at the others.
    for (const address of [`${this.#url}/checkpoint-logged`, `${this.#url}/checkpoint`, ...monitored]) {
      this.#observers.push(new Observer(address, this.#roots));
    }
  }

  async #finish(): Promise<void> {
    for (const writer of this.#writers) await writer.stop();
    const ledger = await this.#ensureLedger();
    if (this.#gateway !== undefined) {
      await this.#mustServe(this.#gateway, "gateway");
      await this.#gateway.stop(DRAIN_LIMIT_MS);
    }
    // Not only what the writers were told: the gateway's last receipts were acknowledged a moment ago.
    await this.#published(await this.#ledgerSize());
    for (const observer of this.#observers) await observer.stop();
    const { folder, kind, tally } = this.#options;
    const checked = { folder, kind, url: this.#url, policy: this.#policy, roots: this.#roots };
    const size = await checkAll({ ...checked, writers: this.#writers, calls: this.#calls, stop: () => ledger.stop() });
    this.failOnFaults();
    const acknowledged = this.#writers.reduce((total, writer) => total + writer.acknowledged, 0);
    tally.finished({ acknowledged, size, heads: this.#roots.size });
  }

  async #ledgerSize(): Promise<bigint> {
    const { size }: { readonly size: number } = Object(await (await fetch(`${this.#url}/readyz`)).json());
    return BigInt(size);
  }

  /** Until a witnessed checkpoint covers what was acknowledged. */
  async #published(size: bigint): Promise<void> {
    const published = this.#observers[1]?.size ?? 0n;
    const left = (): bigint => size - (this.#observers[1]?.size ?? 0n);
    if (await untilDone({ left, limitMs: COVER_LIMIT_MS })) return;
    throw new Error(`published ${size - left()} of ${size} entries, at first ${published}`);
  }
}
