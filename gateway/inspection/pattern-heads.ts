/**
 * With which characters a pattern can begin: read from its source, so that a text is searched for the beginnings of all patterns in
 * one walk. Understands what `phrase` patterns use: letters, escapes of one character, classes, groups, alternatives, `?`, `{n,m}`.
 */

/** Beginnings of up to six characters, each shorter only where anything may follow. Undefined: it can begin with anything. */
export function headsOf(source: string): readonly string[] | undefined {
  const heads = expand(parse(source));
  return heads.every(({ text }) => text !== "") ? [...new Set(heads.map(({ text }) => text))] : undefined;
}

const HEAD = 6;
/** A class of more characters than this ends a beginning. */
const MAX_CLASS = 12;

/** A part of a pattern: what it can begin with, and whether it can be empty or is cut off. */
type Part =
  | { readonly kind: "characters"; readonly of: readonly string[] }
  | { readonly kind: "any" }
  | { readonly kind: "nothing" }
  | { readonly kind: "group"; readonly alternatives: readonly (readonly Repeated[])[] };

interface Repeated {
  readonly part: Part;
  readonly min: number;
  readonly max: number;
}

interface Head {
  readonly text: string;
  readonly isOpen: boolean;
}

interface Cursor {
  readonly source: string;
  at: number;
}

function parse(source: string): readonly (readonly Repeated[])[] {
  return parseAlternatives({ source, at: 0 });
}

function parseAlternatives(cursor: Cursor): readonly (readonly Repeated[])[] {
  const alternatives: Repeated[][] = [[]];
  for (; cursor.at < cursor.source.length && cursor.source[cursor.at] !== ")"; ) {
    if (cursor.source[cursor.at] === "|") {
      cursor.at += 1;
      alternatives.push([]);
    } else alternatives.at(-1)?.push(parseRepeated(cursor));
  }
  return alternatives;
}

function parseRepeated(cursor: Cursor): Repeated {
  const part = parsePart(cursor);
  const match = /^(?:(\?)|(\*)|(\+)|\{(\d+)(,?)(\d*)\})\??/u.exec(cursor.source.slice(cursor.at, cursor.at + 16));
  if (match === null) return { part, min: 1, max: 1 };
  cursor.at += match[0].length;
  const [, optional, star, plus, min = "1", comma = "", max = ""] = match;
  if (optional !== undefined) return { part, min: 0, max: 1 };
  if (star !== undefined || plus !== undefined) return { part, min: star === undefined ? 1 : 0, max: HEAD };
  return { part, min: Number(min), max: comma === "" ? Number(min) : max === "" ? HEAD : Number(max) };
}

function parsePart(cursor: Cursor): Part {
  const { source } = cursor;
  const rest = source.slice(cursor.at, cursor.at + 4);
  if (rest.startsWith("(")) return parseGroup(cursor, /^\(\?(?:<?[=!])/u.test(rest));
  if (rest.startsWith("[")) return parseClass(cursor);
  if (rest.startsWith("\\")) return parseEscape(cursor);
  cursor.at += 1;
  if (rest.startsWith("^") || rest.startsWith("$")) return { kind: "nothing" };
  return rest.startsWith(".") ? { kind: "any" } : { kind: "characters", of: [rest.charAt(0)] };
}

/** Looking round consumes nothing. */
function parseGroup(cursor: Cursor, isLook: boolean): Part {
  cursor.at += /^\((?:\?(?::|<?[=!]))?/u.exec(cursor.source.slice(cursor.at, cursor.at + 4))?.[0].length ?? 1;
  const alternatives = parseAlternatives(cursor);
  cursor.at += 1;
  return isLook ? { kind: "nothing" } : { kind: "group", alternatives };
}

function parseEscape(cursor: Cursor): Part {
  const character = cursor.source.charAt(cursor.at + 1);
  cursor.at += 2;
  if (character === "b" || character === "B") return { kind: "nothing" };
  if (character === "n") return { kind: "characters", of: ["\n"] };
  return /[a-zA-Z0-9]/u.test(character) ? { kind: "any" } : { kind: "characters", of: [character] };
}

function parseClass(cursor: Cursor): Part {
  const body = /^\[((?:[^\]\\]|\\.)*)\]/u.exec(cursor.source.slice(cursor.at))?.[1] ?? "";
  cursor.at += body.length + 2;
  if (body.startsWith("^") || /\\[a-mo-zA-Z]|.-./u.test(body)) return { kind: "any" };
  const characters = [...body.replace(/\\(.)/gu, (_, escaped: string) => (escaped === "n" ? "\n" : escaped))];
  return characters.length > MAX_CLASS ? { kind: "any" } : { kind: "characters", of: characters };
}

function expand(alternatives: readonly (readonly Repeated[])[]): readonly Head[] {
  return alternatives.flatMap((sequence) => {
    let heads: readonly Head[] = [{ text: "", isOpen: true }];
    for (const { part, min, max } of sequence) {
      if (heads.every(({ isOpen }) => !isOpen)) break;
      // Of a group once, not for each beginning before it.
      const tails = tailsOf(part);
      heads = distinct(heads.flatMap((head) => (head.isOpen ? repeat(head, tails, min, max) : [head])));
    }
    return heads;
  });
}

function distinct(heads: readonly Head[]): readonly Head[] {
  return [...new Map(heads.map((head) => [`${head.isOpen} ${head.text}`, head])).values()];
}

/** The head with the part behind it, as often as it may stand there. */
function repeat(head: Head, tails: readonly Head[], min: number, max: number): readonly Head[] {
  const results: Head[] = min === 0 ? [head] : [];
  let heads: readonly Head[] = [head];
  for (let count = 1; count <= Math.min(max, HEAD); count += 1) {
    heads = heads.flatMap((one) => (one.isOpen ? append(one, tails) : [one]));
    if (count >= min || heads.every(({ isOpen }) => !isOpen)) results.push(...heads);
  }
  return results;
}

/** What a part adds to a beginning. */
function tailsOf(part: Part): readonly Head[] {
  if (part.kind === "nothing") return [{ text: "", isOpen: true }];
  if (part.kind === "any") return [{ text: "", isOpen: false }];
  return part.kind === "characters"
    ? part.of.map((text): Head => ({ text, isOpen: true }))
    : distinct(expand(part.alternatives));
}

function append(head: Head, tails: readonly Head[]): readonly Head[] {
  return tails.map(({ text, isOpen }) => {
    const whole = (head.text + text).slice(0, HEAD);
    return { text: whole, isOpen: isOpen && whole.length < HEAD };
  });
}
