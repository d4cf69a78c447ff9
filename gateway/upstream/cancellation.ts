/**
 * How a call learns that it is to end. Nearly every call ends by itself: an AbortController for each, with its signal and the
 * listeners of both, costs more than most steps of a call. This is as much of one as calls need.
 */

/** What a call listens to: an AbortSignal is one. */
export interface CancelSignal {
  readonly aborted: boolean;
  readonly addEventListener: (type: "abort", listener: () => void, options?: { readonly once?: boolean }) => void;
  readonly removeEventListener: (type: "abort", listener: () => void) => void;
}

/** Ends one call. */
export class Cancellation implements CancelSignal {
  #isAborted = false;
  #isOver = false;
  #listeners: (() => void)[] = [];

  get aborted(): boolean {
    return this.#isAborted;
  }

  /** Tells everybody who listens now, once. A call that is over is not aborted. */
  abort(): void {
    if (this.#isAborted || this.#isOver) return;
    this.#isAborted = true;
    const told = this.#listeners;
    this.#listeners = [];
    for (const listener of told) listener();
  }

  /** The call has its answer. */
  end(): void {
    this.#isOver = true;
  }

  /** Called once, if it is not aborted yet. */
  addEventListener(_type: "abort", listener: () => void): void {
    if (!this.#isAborted) this.#listeners.push(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    const at = this.#listeners.indexOf(listener);
    if (at !== -1) this.#listeners.splice(at, 1);
  }
}

/** Aborted with the first of these. */
export function firstOf(signals: readonly CancelSignal[]): AbortSignal {
  return AbortSignal.any(signals.map(abortSignal));
}

/** As an AbortSignal, for those who take nothing else. */
function abortSignal(signal: CancelSignal): AbortSignal {
  if (signal instanceof AbortSignal) return signal;
  const controller = new AbortController();
  if (signal.aborted) controller.abort();
  else signal.addEventListener("abort", () => controller.abort(), { once: true });
  return controller.signal;
}
