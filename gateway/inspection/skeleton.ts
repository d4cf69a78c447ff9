/** The skeleton of a name (UTS #39 §4), as far as the table goes: what it looks like in ASCII. */

import { invariant } from "../../kernel/errors.ts";
import { CONFUSABLES } from "./confusables-table.ts";

/** ASCII stands for itself: the table has none of it. */
const WIDE = /[^\0-\x7f]/gu;
const IGNORABLE = /[\p{Default_Ignorable_Code_Point}]/gu;

let table: ReadonlyMap<string, string> | undefined;

/** NFD, invisible characters dropped, each character replaced by the ASCII that it looks like, NFD again. */
export function skeletonOf(name: string): string {
  if (/^[\x20-\x7e]*$/u.test(name)) return name;
  table ??= readTable();
  const known = table;
  return name
    .normalize("NFD")
    .replace(IGNORABLE, "")
    .replace(WIDE, (character) => known.get(character) ?? character)
    .normalize("NFD");
}

function readTable(): ReadonlyMap<string, string> {
  const entries = CONFUSABLES.trimEnd()
    .split("\n")
    .flatMap((line) => {
      const [target = "", points = ""] = line.split(" ");
      let code = 0;
      return points.split(",").map((difference): [string, string] => {
        code += Number.parseInt(difference, 36);
        invariant(code >= 0x80, "the table of confusables holds no ASCII");
        return [String.fromCodePoint(code), target];
      });
    });
  return new Map(entries);
}
