/** What the clients of a killed ledger have in common: they ask again until they are answered, or told to stop. */

import { pause } from "./child.ts";

const RETRY_MS = 15;

/** A client that works until it is stopped. */
export abstract class Client {
  #stopping = false;
  #done: Promise<void> | undefined;
  /** Requests that were answered. */
  answers = 0;

  /** Works in the background; what it finds wrong rejects `stop`. */
  start(): void {
    this.#done = this.#work();
    this.#done.catch(() => undefined);
  }

  /** Ends after the request in flight. @throws what the client found wrong */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
  }

  /** Resolves never, or rejects with what the client found wrong. */
  watch(): Promise<never> {
    return new Promise((_, reject) => {
      this.#done?.catch(reject);
    });
  }

  /** One piece of work. */
  protected abstract step(): Promise<void>;

  /** Sends again what was acknowledged last: a place that was told once is told again. */
  protected abstract resume(): Promise<void>;

  /** The same request again and again until there is an answer; undefined when the client is stopped before. */
  protected async ask<T>(request: () => Promise<T>): Promise<T | undefined> {
    for (;;) {
      try {
        const answer = await request();
        this.answers += 1;
        return answer;
      } catch (error) {
        // The process is gone, or the answer was cut. Anything else is a finding.
        if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
        if (this.#stopping) return undefined;
        await pause(RETRY_MS);
      }
    }
  }

  async #work(): Promise<void> {
    let seen = 0;
    while (!this.#stopping) {
      await this.step();
      if (this.answers - seen < 20) continue;
      seen = this.answers;
      await this.resume();
    }
  }
}

/** Fails unless `holds`. */
export function expectThat(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}
