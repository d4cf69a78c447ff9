/**
 * Keys that stand in very many documents. A reader that finds one needs no new text of it: the engine would look each up in its
 * table of names before an object takes it, which is a quarter of the reading of a small document.
 *
 * Only names that the program itself knows stand here, nothing that was received.
 */

const SLOTS = 4096;

/** By hash; of two names with one hash the first is known. */
const known: string[] = Array.from({ length: SLOTS }, () => "");

/** Makes names known; once, where a format is defined. */
export function knowKeys(names: Iterable<string>): void {
  for (const name of names) {
    const slot = hashOf(name, 0, name.length) & (SLOTS - 1);
    if (known[slot] === "") known[slot] = name;
  }
}

/** The known key that stands from `start` to `end` in `text`; undefined if it is not known. */
export function findKey(text: string, start: number, end: number): string | undefined {
  return knownKey(text, start, end, hashOf(text, start, end));
}

function hashOf(text: string, start: number, end: number): number {
  let hash = 0;
  for (let i = start; i < end; i += 1) hash = addToHash(hash, text.charCodeAt(i));
  return hash;
}

/** The hash of a text and one more character; that of no character is 0. */
export function addToHash(hash: number, code: number): number {
  return (Math.imul(hash, 31) + code) | 0;
}

/** As `findKey`, by the hash of what stands there. */
export function knownKey(text: string, start: number, end: number, hash: number): string | undefined {
  const key = known[hash & (SLOTS - 1)];
  return key !== undefined && key.length === end - start && text.startsWith(key, start) ? key : undefined;
}
