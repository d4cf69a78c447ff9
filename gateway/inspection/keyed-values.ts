/**
 * Values in a text together with the names that stand before them: members of JSON text, `name=value`, `name: value`, and the
 * columns of CSV text. A name lowers the bar for its value.
 */

/** A value and where it stands. */
export interface KeyedValue {
  readonly key: string;
  readonly value: string;
  readonly start: number;
}

const PAIR =
  /(?<![\p{L}\p{N}_.-])([A-Za-z][A-Za-z0-9_. -]{0,39}[A-Za-z0-9])\\?["']?[ \t]{0,4}[:=]{1,2}[ \t]{0,4}(?:\\?"([^"\\\n]{1,1024})|'([^'\n]{1,1024})'|([+(]?\d[\d ().x/-]{4,30}\d|[^\s"',;{}[\]<>]{1,1024}))/gu;
const MAX_COLUMNS = 64;

/** Every named value of a text. */
export function keyedValues(text: string): readonly KeyedValue[] {
  return [...pairs(text), ...columns(text)];
}

function pairs(text: string): readonly KeyedValue[] {
  if (!/[:=]/u.test(text)) return [];
  return [...text.matchAll(PAIR)].map(({ 0: whole, 1: key = "", 2: double, 3: single, 4: bare, index }) => {
    const value = double ?? single ?? bare ?? "";
    return { key, value, start: index + whole.lastIndexOf(value) };
  });
}

/** Cells of lines below a line of names; quoted cells are read without their quotes. */
function columns(text: string): readonly KeyedValue[] {
  const headEnd = text.indexOf("\n");
  const head = text.slice(0, Math.min(headEnd, 4096));
  const separator = ["\t", ";", ","].find((candidate) => head.includes(candidate));
  if (headEnd < 0 || separator === undefined) return [];
  const names = head.split(separator).map((name) => name.trim().replace(/^"(.{0,64})"$/u, "$1"));
  if (names.length > MAX_COLUMNS || !names.every((name) => /^[A-Za-z][A-Za-z0-9_ .-]{0,63}$/u.test(name))) return [];
  return cells(text, headEnd + 1, separator, names);
}

function cells(text: string, from: number, separator: string, names: readonly string[]): readonly KeyedValue[] {
  const values: KeyedValue[] = [];
  let column = 0;
  let start = from;
  for (let at = from; at <= text.length; at += 1) {
    const character = text.charAt(at);
    if (character !== separator && character !== "\n" && at < text.length) continue;
    const key = names[column];
    const raw = text.slice(start, at);
    const value = raw.trim().replace(/^"(.{0,1024})"$/u, "$1");
    if (key !== undefined && value !== "") values.push({ key, value, start: start + raw.indexOf(value) });
    column = character === separator ? column + 1 : 0;
    start = at + 1;
  }
  return values;
}
