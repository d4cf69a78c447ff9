/**
 * The pace of notices to one agent: each goes out at once, and again at the earliest some time later, however often a server
 * says it meanwhile. None is lost: the last of many is sent when the time is over.
 */

const GAP_MS = 250;

/** Paces notices by their keys, of which there must be few. */
export class NoticePacer {
  readonly #send: (key: string) => void;
  readonly #waiting = new Map<string, { readonly timer: NodeJS.Timeout; isDue: boolean }>();
  /** Notices from before the start, or while it is held. */
  readonly #early = new Set<string>();
  #state: "waiting" | "started" | "stopped" = "waiting";

  constructor(send: (key: string) => void) {
    this.#send = send;
  }

  /** True while nothing is sent: what is pushed again then is sent when it is started. */
  get isHeld(): boolean {
    return this.#state !== "started";
  }

  push(key: string): void {
    const waiting = this.#waiting.get(key);
    if (this.#state === "waiting") this.#early.add(key);
    else if (waiting !== undefined) waiting.isDue = true;
    else if (this.#state === "started") this.#sendNow(key);
  }

  /** Sends from now on; what came before is sent first. */
  start(): void {
    this.#state = "started";
    const early = [...this.#early];
    this.#early.clear();
    for (const key of early) this.push(key);
  }

  /** Nothing is sent until it is started again; nothing is lost meanwhile. */
  hold(): void {
    if (this.#state === "started") this.#state = "waiting";
  }

  /** Nothing more is sent. */
  stop(): void {
    this.#state = "stopped";
    for (const { timer } of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
  }

  #sendNow(key: string): void {
    const timer = setTimeout(() => {
      const isDue = this.#waiting.get(key)?.isDue === true;
      this.#waiting.delete(key);
      if (isDue) this.push(key);
    }, GAP_MS);
    timer.unref();
    this.#waiting.set(key, { timer, isDue: false });
    this.#send(key);
  }
}
