/**
 * The integrator of a node: waits for the lease of the log, holds terms, and stands by again after what may pass. What only a
 * person may judge (other bytes at an immutable key, another root, a witness that has seen more) halts the node, and what proves
 * that the log must not go on halts the log.
 */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { errorCode, isCodedError, StoreError } from "../../kernel/errors.ts";
import type { WitnessHealthView } from "../checkpoint/witness-health.ts";
import { haltingCode, recordHalt } from "./log-halt.ts";
import { openTerm, type Term, type TermParts } from "./term.ts";
import { TermPulse } from "./term-pulse.ts";

/** What an integrator works with. */
export interface IntegratorParts extends Omit<TermParts, "token" | "pulse"> {
  /** Names this process in the head row. */
  readonly holder: string;
  /** Time until the lease of a silent integrator may be taken. */
  readonly leaseMs: number;
  /** Longest time of one step of a term, after which it gives the lease back; default five minutes. */
  readonly stallMs?: number;
  readonly onHalt: (fault: unknown) => void;
}

/** Longest pause between two looks at the lease. */
const STANDBY_MS = 1000;
/** Far above the bounds of single requests to the database, the object store and the witnesses. */
const STALL_MS = 300_000;
/** Beside fatal faults of the stores. A bug is no proof of anything, and no reason to go on either. */
const HALTING: ReadonlySet<ErrorCode> = new Set(["ERR_WITNESS_AHEAD", "ERR_BUG"]);

/** One of any number of integrators of a log; at most one has the newest token. */
export class Integrator {
  readonly #parts: IntegratorParts;
  #term: Term | undefined;
  #lastFault: ErrorCode | undefined;
  #isStopping = false;
  #isHalted = false;
  #wake: () => void = () => undefined;
  #running: Promise<void> | undefined;

  constructor(parts: IntegratorParts) {
    this.#parts = parts;
  }

  /** True while this node holds a term. */
  get isActive(): boolean {
    return this.#term !== undefined;
  }

  /** Code of what ended the last term, or kept it from being opened; undefined in a term, and if nothing went wrong. */
  get lastFault(): ErrorCode | undefined {
    return this.#lastFault;
  }

  /** How each witness has answered in this term. */
  get health(): readonly WitnessHealthView[] {
    return this.#term?.cosigning.health ?? [];
  }

  /** Starts to wait for the lease. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends the term with what is sequenced signed, gives the lease back; resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#term?.stop();
    this.#wake();
    await this.#running;
  }

  /** The node halted: the term ends with this fault, nothing is signed any more, and no other term follows. */
  halt(fault: unknown): void {
    this.#isHalted = true;
    this.#term?.fail(fault);
    this.#wake();
  }

  async #run(): Promise<void> {
    while (!this.#isStopping && !this.#isHalted) {
      const fault = await this.#holdTerm();
      if (fault !== undefined) this.#lastFault = errorCode(fault);
      if (fault !== undefined && mustHalt(fault)) return this.#parts.onHalt(fault);
      if (fault !== undefined) this.#warn(fault);
      if (!this.#isStopping && !this.#isHalted) await this.#pause(Math.min(STANDBY_MS, this.#parts.leaseMs / 4));
    }
  }

  /** @returns what ended the term; undefined if there was none, or it was told to stop */
  async #holdTerm(): Promise<unknown> {
    const { heads, holder, leaseMs } = this.#parts;
    let token: bigint | undefined;
    try {
      token = await heads.acquire(holder, leaseMs);
      return token === undefined ? undefined : await this.#judge(await this.#workWatched(token), token);
    } catch (error) {
      return token === undefined ? error : await this.#judge(error, token);
    } finally {
      this.#term = undefined;
      if (token !== undefined) await heads.release(token).catch(() => undefined);
    }
  }

  /** Renews the lease while the term goes on. One that hangs is left behind; whatever it still does has an old token. */
  async #workWatched(token: bigint): Promise<unknown> {
    const { leaseMs, stallMs = STALL_MS } = this.#parts;
    const pulse = new TermPulse(stallMs, () => performance.now());
    let renewal: NodeJS.Timeout | undefined;
    const stalled = new Promise<unknown>((resolve) => {
      renewal = setInterval(() => {
        const { stall } = pulse;
        if (stall === undefined) return void this.#renew(token);
        this.#term?.fail(stall);
        resolve(stall);
      }, leaseMs / 3);
    });
    const working = this.#work(token, pulse);
    working.catch(() => undefined);
    return Promise.race([working, stalled]).finally(() => clearInterval(renewal));
  }

  async #work(token: bigint, pulse: TermPulse): Promise<unknown> {
    const { holder, options } = this.#parts;
    const term = await openTerm({ ...this.#parts, token, pulse });
    if (pulse.stall !== undefined) throw pulse.stall;
    [this.#term, this.#lastFault] = [term, undefined];
    if (this.#isStopping) term.stop();
    options.logger.info({ holder, token: Number(token) }, "this node integrates");
    return term.run();
  }

  /**
   * A witness or an object that is ahead of this term is so by the work of whoever holds the lease now, if that is somebody
   * else: only the holder of the newest token halts for it.
   */
  async #judge(fault: unknown, token: bigint): Promise<unknown> {
    if (fault === undefined || !mustHalt(fault)) return fault;
    try {
      const row = await this.#parts.heads.read();
      if (row.token !== token) return lostBehind(fault);
    } catch (error) {
      return error;
    }
    // At once: before anybody is told, and whatever the database says then.
    this.#parts.onHalt(fault);
    await this.#haltLog(fault, token);
    return fault;
  }

  /** Tells all nodes. Whoever takes the log over meanwhile derives it anew, and meets the same. */
  async #haltLog(fault: unknown, token: bigint): Promise<void> {
    const code = haltingCode(fault);
    if (code === undefined) return;
    const { database, log, holder, leaseMs } = this.#parts;
    const message = fault instanceof Error ? fault.message : "";
    for (;;) {
      try {
        return await recordHalt(database, log, { token, holder, code, message });
      } catch (error) {
        if (isCodedError(error) && error.code === "ERR_LEASE_LOST") return;
        this.#parts.options.logger.warn({ err: error, code }, "the halt of the log cannot be recorded yet");
      }
      if (this.#isStopping) return;
      await this.#pause(Math.min(STANDBY_MS, leaseMs / 4));
    }
  }

  /** A database that does not answer ends no term by itself: the next statement will, and the token protects the rest. */
  async #renew(token: bigint): Promise<void> {
    try {
      await this.#parts.heads.renew(token, this.#parts.leaseMs);
    } catch (error) {
      if (isCodedError(error) && error.code === "ERR_LEASE_LOST") this.#term?.fail(error);
    }
  }

  #warn(fault: unknown): void {
    this.#parts.options.logger.warn({ err: fault, code: this.#lastFault }, "a term ended; this node stands by");
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms * (0.5 + Math.random()));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function lostBehind(fault: unknown): StoreError {
  return new StoreError("ERR_LEASE_LOST", "another integrator has taken the log over", { cause: fault });
}

/** What only a person may judge. All else is tried again: a term takes over nothing but what is durable. */
function mustHalt(fault: unknown): boolean {
  if (fault instanceof StoreError) return fault.fatal;
  return isCodedError(fault) && HALTING.has(fault.code);
}
