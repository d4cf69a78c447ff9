/**
 * Values that are taken out of every text that repeats them. All of them are looked for in one walk over a text, so that an answer
 * with very many of them costs no more than its length.
 */

/** Shorter values stand in other texts by chance. */
const MIN_COPY = 6;

/** Values that begin alike. */
interface Alike {
  /** Longest first. */
  lengths: readonly number[];
  readonly puts: Map<string, string>;
}

/** Values, and what each becomes. */
export class ValueCopies {
  readonly #byHead = new Map<string, Alike>();

  /** Notes a value; one of less than six characters is none. */
  add(value: string, put: string): void {
    if (value.length < MIN_COPY) return;
    const head = value.slice(0, MIN_COPY);
    const alike: Alike = this.#byHead.get(head) ?? { lengths: [], puts: new Map() };
    alike.puts.set(value, put);
    if (!alike.lengths.includes(value.length)) alike.lengths = [...alike.lengths, value.length].sort((a, b) => b - a);
    this.#byHead.set(head, alike);
  }

  /** The text with every value replaced, from the left, the longest first. */
  replaceIn(text: string): string {
    if (this.#byHead.size === 0 || text.length < MIN_COPY) return text;
    let result = "";
    let done = 0;
    for (let at = 0; at + MIN_COPY <= text.length; at += 1) {
      const found = this.#findAt(text, at);
      if (found === undefined) continue;
      result += text.slice(done, at) + found.put;
      done = at + found.length;
      at = done - 1;
    }
    return done === 0 ? text : result + text.slice(done);
  }

  #findAt(text: string, at: number): { readonly length: number; readonly put: string } | undefined {
    const alike = this.#byHead.get(text.slice(at, at + MIN_COPY));
    for (const length of alike?.lengths ?? []) {
      const put = alike?.puts.get(text.slice(at, at + length));
      if (put !== undefined) return { length, put };
    }
    return undefined;
  }
}
