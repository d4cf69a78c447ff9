/**
 * How long each phase of a start takes. None may grow with the log: what is read again is bounded by the write-ahead log, and
 * the tree's edge by its levels.
 */

/** Phases in the order of a start. */
export const START_PHASES = [
  "index_opened",
  "wal_replayed",
  "leaves_read",
  "index_caught_up",
  "heads_checked",
  "witnesses_asked",
  "checkpoint_signed",
] as const;

/** A phase of a start. */
export type StartPhase = (typeof START_PHASES)[number];

/** What a start took, and what it read again. */
export interface StartReport {
  /** Milliseconds by phase, rounded. */
  readonly phasesMs: Readonly<Record<StartPhase, number>>;
  /** Entries that were read from the write-ahead log. */
  readonly walEntries: number;
  /** Entries that the index was told again. */
  readonly indexedEntries: number;
}

/** A watch that is read at the end of each phase; mutable. */
export class StartTimes {
  readonly #nowMs: () => number;
  readonly #spent = new Map<StartPhase, number>();
  #lapMs: number;

  /** @param nowMs  a clock that never goes back */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#lapMs = nowMs();
  }

  /** Ends a phase: the time since the end of the one before counts for it. */
  end(phase: StartPhase): void {
    const now = this.#nowMs();
    this.#spent.set(phase, (this.#spent.get(phase) ?? 0) + now - this.#lapMs);
    this.#lapMs = now;
  }

  /** Milliseconds by phase; 0 for one that has not ended. */
  phasesMs(): Readonly<Record<StartPhase, number>> {
    const of = (phase: StartPhase): number => Math.round(this.#spent.get(phase) ?? 0);
    return {
      index_opened: of("index_opened"),
      wal_replayed: of("wal_replayed"),
      leaves_read: of("leaves_read"),
      index_caught_up: of("index_caught_up"),
      heads_checked: of("heads_checked"),
      witnesses_asked: of("witnesses_asked"),
      checkpoint_signed: of("checkpoint_signed"),
    };
  }
}
