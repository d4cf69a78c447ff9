/** The words that a shell line of a document gives to `countersign`. */

/** Stands for what the reader fills in: `<data folder>`. */
export const PLACEHOLDER = "placeholder";

/**
 * Each list of arguments that a line stands for; none if it runs other programs alone. What the reader fills in is one word, what
 * may be left out is given, and each of alternative words has a list of its own.
 */
export function ownArguments(line: string): readonly (readonly string[])[] {
  return shellParts(plain(line)).flatMap((words) => {
    const own = words[0] === "npx" ? words.slice(1) : words;
    if (own[0] !== "countersign") return [];
    const args = own.slice(1, own.includes(">") ? own.indexOf(">") : undefined);
    return alternatives(args.filter((word) => word !== "…"));
  });
}

/** Placeholders as one word; without the brackets around what may be left out. */
function plain(line: string): string {
  return line.replace(/<[^<>]+>/gu, PLACEHOLDER).replace(/ \[(--[^\]]+)\]/gu, " $1");
}

/** The simple commands of a line as words: split at `&&` and `|`, quotes taken off. */
function shellParts(line: string): readonly (readonly string[])[] {
  const words = [...line.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/gu)].map(([word]) => word);
  const parts: string[][] = [[]];
  for (const word of words) {
    if (word === "&&" || word === "|") parts.push([]);
    else parts.at(-1)?.push(word.replace(/"([^"]*)"|'([^']*)'/gu, "$1$2"));
  }
  return parts;
}

/** `a on|off --x` is `a on --x` and `a off --x`. */
function alternatives([name = "", word = "", ...rest]: readonly string[]): readonly (readonly string[])[] {
  if (!/^[a-z-]+(?:\|[a-z-]+)+$/u.test(word) || rest.length === 0)
    return [[name, word, ...rest].filter((each) => each !== "")];
  return word.split("|").map((each) => [name, each, ...rest]);
}
