// Makes gateway/inspection/confusables-table.ts from Unicode's confusables.txt:
//
//   node scripts/confusables.mjs <confusables.txt>
//
// Kept are the characters whose prototype, followed to its end, is printable ASCII: those are what makes a name look like
// an ASCII one. Two names that share no ASCII letter are not compared by this table.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error("usage: node scripts/confusables.mjs <confusables.txt>");
const bytes = readFileSync(path);
const text = bytes.toString("utf8");
const version = /^# Version: (\d+\.\d+\.\d+)$/mu.exec(text)?.[1];
if (version === undefined) throw new Error("want a line '# Version:' in the file");

const prototypes = new Map();
for (const line of text.split("\n")) {
  const fields = /^\s*([0-9A-F]+)\s*;\s*([0-9A-F ]+?)\s*;\s*MA/u.exec(line.replace(/^\uFEFF/u, ""));
  if (fields === null) continue;
  const [, from, to] = fields;
  prototypes.set(codePoint(from), to.split(" ").map(codePoint).join(""));
}

function codePoint(hex) {
  return String.fromCodePoint(Number.parseInt(hex, 16));
}

const byTarget = new Map();
let kept = 0;
for (const [from, to] of prototypes) {
  if (/^[\x20-\x7e]$/u.test(from) || !/^[\x21-\x7e]+$/u.test(to)) continue;
  kept += 1;
  byTarget.set(to, [...(byTarget.get(to) ?? []), from.codePointAt(0)]);
}

/** `<target>:<first>,<difference>,…` in base 36, targets in order. */
const rows = [...byTarget]
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([target, points]) => {
    let before = 0;
    const differences = points
      .sort((a, b) => a - b)
      .map((point) => {
        const difference = point - before;
        before = point;
        return difference.toString(36);
      });
    return `${target} ${differences.join(",")}`;
  });
const lines = [];
for (const row of rows) {
  for (let at = 0; at < row.length; at += 100) lines.push([row.slice(at, at + 100), at + 100 >= row.length]);
}
const literal = lines.map(([part, isLast]) => `  ${JSON.stringify(isLast ? `${part}\n` : part)}`).join(" +\n");
writeFileSync(
  new URL("../gateway/inspection/confusables-table.ts", import.meta.url),
  `/**
 * Characters that look like printable ASCII, from Unicode's confusables.txt (UTS #39). Made by scripts/confusables.mjs; not
 * edited by hand. © Unicode, Inc., under the Unicode License V3 (https://www.unicode.org/license.txt).
 */

/** Version and SHA-256 of the file that this table was made from, and how many of its characters it holds. */
export const CONFUSABLES_SOURCE = {
  version: "${version}",
  sha256: "${createHash("sha256").update(bytes).digest("hex")}",
  characters: ${kept},
} as const;

/** Lines of \`<ASCII text> <code points>\`: base 36, each as its difference from the one before. */
export const CONFUSABLES: string =
${literal};
`,
);
console.log(`${kept} of ${prototypes.size} characters, Unicode ${version}`);
