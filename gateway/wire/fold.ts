/**
 * Folding of keys: two keys with one fold may be the same key to a lenient reader (case-insensitive, NUL-terminated,
 * normalising). Known instances are CVE-2026-27896 and GHSA-q382-vc8q-7jhj.
 */

const DROPPED = /[\p{Cc}\p{Cf}\p{Zs}\p{Default_Ignorable_Code_Point}]/gu;
/** ASCII without controls and space: nothing to normalise or to drop. */
const VISIBLE_ASCII = /^[!-~]*$/u;

/** Visible ASCII without capitals. */
const FOLDED_ASCII = /^[!-@[-~]*$/u;

/** True of keys that are their own fold, nearly all; false says nothing. */
export function isFolded(key: string): boolean {
  return FOLDED_ASCII.test(key);
}

/** The fold of a key: NFKC, invisible characters dropped, case removed (long s to s, ß to ss), NFKC. */
export function foldKey(key: string): string {
  if (VISIBLE_ASCII.test(key)) return key.toLowerCase();
  return key.normalize("NFKC").replace(DROPPED, "").toUpperCase().toLowerCase().normalize("NFKC");
}
