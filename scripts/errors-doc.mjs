// Writes the tables of docs/errors.md from the built code, between its markers. `--check` only compares.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = fileURLToPath(new URL("../docs/errors.md", import.meta.url));
const load = (module, folder = "kernel") => import(new URL(`../dist/${folder}/${module}.js`, import.meta.url));
const { ERROR_CODES } = await load("error-codes");
const { REASON_CODES } = await load("receipt/reasons");
const { FINDING_CODES } = await load("receipt/findings");
const { OBLIGATIONS } = await load("obligation");
const { VERDICT_REASONS } = await load("verdict-reasons", "verifier");

const tables = {
  codes: ["Code", ERROR_CODES],
  reasons: ["Reason", REASON_CODES],
  findings: ["Finding", FINDING_CODES],
  obligations: ["Obligation", OBLIGATIONS],
  verdicts: ["Reason", VERDICT_REASONS],
};

const render = ([title, list]) => {
  const rows = Object.entries(list).sort(([a], [b]) => (a < b ? -1 : 1));
  return [`| ${title} | Meaning |`, "|---|---|", ...rows.map(([code, meaning]) => `| \`${code}\` | ${meaning} |`)];
};

const before = readFileSync(path, "utf8");
let after = before;
for (const [marker, table] of Object.entries(tables)) {
  const place = new RegExp(`<!-- ${marker} -->\n[\\s\\S]*?<!-- end ${marker} -->`, "u");
  if (!place.test(after)) throw new Error(`docs/errors.md has no place for ${marker}`);
  after = after.replace(place, () => `<!-- ${marker} -->\n\n${render(table).join("\n")}\n\n<!-- end ${marker} -->`);
}
if (process.argv.includes("--check")) process.exit(after === before ? 0 : 1);
writeFileSync(path, after);
