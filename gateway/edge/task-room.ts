/**
 * Room for tasks: how many there may be, and how many bytes of their calls, in all and of one caller. A task takes both at once,
 * before its agent knows of it, so that calls under way side by side cannot go beyond a bound together.
 */

import type { LimitId } from "../../kernel/receipt/vocabulary.ts";
import type { Party } from "../pipeline/call.ts";
import { callerKey } from "./caller-key.ts";
import { type FullPlace, type InFlight, type InFlightNames, makeInFlight } from "./in-flight.ts";

/** Of the messages of all calls that are kept, and of one caller's. */
const MAX_BYTES = 32 * 1024 * 1024;
const MAX_CALLER_BYTES = 8 * 1024 * 1024;

const NAMES: InFlightNames = {
  total: { reason: "limit.tasks", limit: "open-tasks-principal" },
  own: { reason: "limit.tasks", limit: "open-tasks-principal" },
};

/** The room of one task. */
export interface TakenRoom {
  readonly type: "taken";
  readonly bytes: number;
  readonly leave: () => void;
}

/** What a caller would have given back. */
export interface FreedRoom {
  readonly places: number;
  readonly bytes: number;
}

const NOTHING: FreedRoom = { places: 0, bytes: 0 };

/** The room of one table. */
export class TaskRoom {
  readonly #places: InFlight;
  readonly #bytesOf = new Map<string, number>();
  #bytes = 0;

  constructor(maxTasks: number, maxTasksPerCaller: number) {
    this.#places = makeInFlight(maxTasks, maxTasksPerCaller, NAMES);
  }

  /** @param bytes  of the call, as received and as sent */
  enter(caller: Party, bytes: number): TakenRoom | FullPlace {
    const key = callerKey(caller);
    const bound = this.#bytesBound(key, bytes, NOTHING);
    if (bound !== undefined) return bound;
    const place = this.#places.enter(caller);
    if (place.type === "full") return place;
    this.#count(key, bytes);
    let isLeft = false;
    const leave = (): void => {
      if (!isLeft) this.#count(key, -bytes);
      isLeft = true;
      place.leave();
    };
    return { type: "taken", bytes, leave };
  }

  /** The bound that would be reached if the caller had given this back; undefined: there would be room. Takes nothing. */
  bound(caller: Party, bytes: number, freed: FreedRoom): FullPlace | undefined {
    return this.#bytesBound(callerKey(caller), bytes, freed) ?? this.#places.bound(caller, freed.places);
  }

  #bytesBound(key: string, bytes: number, freed: FreedRoom): FullPlace | undefined {
    const all = this.#bytes - freed.bytes;
    const own = (this.#bytesOf.get(key) ?? 0) - freed.bytes;
    if (all + bytes > MAX_BYTES) return full("open-task-bytes-total", MAX_BYTES, all);
    return own + bytes > MAX_CALLER_BYTES ? full("open-task-bytes-principal", MAX_CALLER_BYTES, own) : undefined;
  }

  #count(key: string, bytes: number): void {
    this.#bytes += bytes;
    const own = (this.#bytesOf.get(key) ?? 0) + bytes;
    if (own === 0) this.#bytesOf.delete(key);
    else this.#bytesOf.set(key, own);
  }
}

function full(limit: LimitId, budget: number, reserved: number): FullPlace {
  const remaining = budget - reserved;
  const accounting = { limit, charge: "refused", budget, consumed: 0, reserved, remaining } as const;
  return { type: "full", reason: "limit.tasks", accounting };
}
