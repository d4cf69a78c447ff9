// Writes the tables of docs/errors.md from the built code, between its markers. `--check` only compares.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const { ERROR_CODES } = await import(new URL("../dist/kernel/error-codes.js", import.meta.url));
const { REASON_CODES } = await import(new URL("../dist/kernel/receipt/reasons.js", import.meta.url)).catch(() => ({}));
const path = fileURLToPath(new URL("../docs/errors.md", import.meta.url));
const before = readFileSync(path, "utf8");

const table = (codes) =>
  Object.entries(codes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, meaning]) => `| \`${code}\` | ${meaning} |`)
    .join("\n");

const fill = (text, marker, rows) =>
  text.replace(new RegExp(`(<!-- ${marker} -->\n)[\\s\\S]*?(<!-- end ${marker} -->)`, "u"), `$1\n${rows}\n\n$2`);

let after = fill(before, "codes", `| Code | Meaning |\n|---|---|\n${table(ERROR_CODES)}`);
if (REASON_CODES !== undefined) after = fill(after, "reasons", `| Reason | Meaning |\n|---|---|\n${table(REASON_CODES)}`);
if (process.argv.includes("--check")) process.exit(after === before ? 0 : 1);
writeFileSync(path, after);
