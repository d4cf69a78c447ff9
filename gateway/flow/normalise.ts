/**
 * Which values of a result are worth remembering, and in which form they are compared (mcp-gateway §18). Pure. Equality of
 * values is all that is claimed: a paraphrase, a summary or a translation has no equal values and is not seen.
 */

/** Shorter values are equal by chance too often. */
const MIN_CHARACTERS = 8;
/** A token without a digit, `@` or `_` is a word; a long one is not. */
const LONG_TOKEN = 16;

const EDGE_PUNCTUATION = /^[\p{P}\p{S}\s]+|[\p{P}\p{S}\s]+$/gu;
/** A letter or digit of ASCII at both ends: most values. */
const PLAIN_ENDS = /^[a-z0-9](?:.*[a-z0-9])?$/su;
const SEPARATORS = /[\s,;|"'<>()[\]{}=]+/u;
const TELLING = /[\p{Nd}@_]/u;
const ISO_TIME = /^\d{4}-\d{2}-\d{2}(?:[t ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:z|[+-]\d{2}:?\d{2})?)?$/u;
const CONSTANTS: ReadonlySet<string> = new Set([
  "undefined",
  "unavailable",
  "application/json",
  "text/plain",
  "text/html",
  "text/markdown",
  "image/png",
  "image/jpeg",
  "application/pdf",
  "application/octet-stream",
]);

/** NFKC, lower case, white space collapsed, punctuation at both ends taken off. */
export function normalise(text: string): string {
  const lower = text.normalize("NFKC").toLowerCase();
  const spaced = /[^\S ]| {2}/u.test(lower) ? lower.replace(/\s+/gu, " ") : lower;
  return PLAIN_ENDS.test(spaced) ? spaced : spaced.replace(EDGE_PUNCTUATION, "");
}

/** True if an equal value elsewhere says something. @param value  normalised */
export function isTelling(value: string): boolean {
  return value.length >= MIN_CHARACTERS && !ISO_TIME.test(value) && !CONSTANTS.has(value);
}

/** The tokens of a text that are worth comparing, normalised, each once. */
export function tellingTokens(text: string): readonly string[] {
  const tokens = text.split(SEPARATORS).map(normalise);
  return [...new Set(tokens)].filter(
    (token) => isTelling(token) && (TELLING.test(token) || token.length >= LONG_TOKEN),
  );
}

/** Words of a run. */
const RUN_WORDS = 5;

/** The runs of five words of a text, each once: what copied prose keeps, and two texts hardly share by chance. */
export function wordRuns(text: string): readonly string[] {
  const words = text
    .normalize("NFKC")
    .toLowerCase()
    .split(/[^\p{L}\p{Nd}]+/u)
    .filter((word) => word !== "");
  const runs = new Set<string>();
  for (let i = 0; i + RUN_WORDS <= words.length; i += 1) runs.add(words.slice(i, i + RUN_WORDS).join(" "));
  return [...runs];
}
