/** Adds entries to a raw log; knows which index each was acknowledged with. */

import { SUBMIT } from "../support/ledger-service.ts";
import { Client, expectThat } from "./client.ts";

/** Entries of one writer: texts follow from their number, so that only places are kept. */
export class RawWriter extends Client {
  readonly #url: string;
  readonly #name: string;
  readonly #places: number[] = [];

  constructor(url: string, name: string) {
    super();
    [this.#url, this.#name] = [url, name];
  }

  get acknowledged(): number {
    return this.#places.length;
  }

  /** Largest acknowledged index; -1 if there is none. */
  get lastIndex(): number {
    return this.#places.at(-1) ?? -1;
  }

  /** Fails unless `entries` hold what was acknowledged, where it was. */
  check(entries: readonly Uint8Array[]): void {
    for (const [i, index] of this.#places.entries()) {
      const entry = Buffer.from(entries[index] ?? new Uint8Array(0)).toString();
      expectThat(
        entry === this.#text(i),
        `${this.#name}/${i} was acknowledged at ${index}, which holds something else`,
      );
    }
  }

  protected override async step(): Promise<void> {
    const i = this.#places.length;
    const index = await this.#add(i);
    if (index === undefined) return;
    expectThat(Number.isSafeInteger(index) && index > this.lastIndex, `${this.#name}/${i} got index ${index}`);
    this.#places.push(index);
  }

  protected override async resume(): Promise<void> {
    const i = this.#places.length - 1;
    const index = await this.#add(i);
    const told = this.#places[i];
    expectThat(index === undefined || index === told, `${this.#name}/${i}: index ${index}, before ${told}`);
  }

  #add(i: number): Promise<number | undefined> {
    const body = this.#text(i);
    return this.ask(async () => {
      const response = await fetch(`${this.#url}/add`, { method: "POST", body, headers: SUBMIT });
      const text = await response.text();
      expectThat(response.status === 200, `POST /add: ${response.status} ${text}`);
      return Number(text);
    });
  }

  #text(i: number): string {
    return `${this.#name}/${i} ${"x".repeat((i * 37) % 500)}`;
  }
}
