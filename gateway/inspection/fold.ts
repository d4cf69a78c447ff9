/**
 * One spelling of a text for rules about words: NFKC, invisible characters removed, typographic quotes and white space made plain,
 * lower case. Rules about wording run on it; a rule that only fires here fires because something was hidden.
 */

const IGNORABLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters do not end a word
const CONTROL = /[\x00-\x08\x0e-\x1f\x7f-\x9f]/gu;

const VISIBLE = /^[\t\n\r\x20-\x7e]*$/u;

/** The fold; it has no offsets in common with the text. */
export function foldText(text: string): string {
  if (VISIBLE.test(text)) return plainText(text);
  return plainText(text.normalize("NFKC").replace(IGNORABLE, "").replace(CONTROL, ""));
}

/** White space, quotes and case made plain, and nothing removed: what is visible as it stands. */
export function plainText(text: string): string {
  const lower = text.toLowerCase();
  const quoted = VISIBLE.test(text) ? lower.replaceAll("`", "'") : plainQuotes(lower);
  // Most texts have single spaces and nothing to fold.
  return /[\t\r\n]| {2}|[^\S ]/u.test(quoted) ? plainSpace(quoted) : quoted;
}

function plainQuotes(lower: string): string {
  return lower.replace(/[\u2018\u2019\u02bc\u0060\u00b4]/gu, "'").replace(/[\u201c\u201d]/gu, '"');
}

function plainSpace(text: string): string {
  return text
    .replace(/\r\n?/gu, "\n")
    .split("\n")
    .map((line) =>
      line
        .split(/\s/u)
        .filter((word) => word !== "")
        .join(" "),
    )
    .filter((line) => line !== "")
    .join("\n");
}
