/**
 * Values that are taken out of every text that repeats them. All of them are looked for in one walk over a text, so that an answer
 * with very many of them costs no more than its length.
 */

/** Shorter values stand in other texts by chance. */
const MIN_COPY = 6;

/**
 * Characters that may be compared for each one of a text. Values of many lengths that all begin alike, before a text that begins
 * so at every place, would take as many as there are lengths: such a text goes as a whole.
 */
const MAX_COMPARED = 1024;

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

  /** The text with every value replaced, from the left, the longest first; one that would take too long is replaced as a whole. */
  replaceIn(text: string): string {
    if (this.#byHead.size === 0 || text.length < MIN_COPY) return text;
    let result = "";
    let done = 0;
    const work = { left: MAX_COMPARED * text.length };
    for (let at = 0; at + MIN_COPY <= text.length; at += 1) {
      const found = this.#findAt(text, at, work);
      if (found === undefined) continue;
      if (work.left < 0) return found.put;
      result += text.slice(done, at) + found.put;
      done = at + found.length;
      at = done - 1;
    }
    return done === 0 ? text : result + text.slice(done);
  }

  /** What stands at a place; whatever begins so, once the work is done. */
  #findAt(
    text: string,
    at: number,
    work: { left: number },
  ): { readonly length: number; readonly put: string } | undefined {
    const alike = this.#byHead.get(text.slice(at, at + MIN_COPY));
    if (alike === undefined) return undefined;
    for (const length of alike.lengths) {
      if (at + length > text.length) continue;
      work.left -= length;
      const put = work.left < 0 ? alike.puts.values().next().value : alike.puts.get(text.slice(at, at + length));
      if (put !== undefined) return { length, put };
    }
    return undefined;
  }
}
