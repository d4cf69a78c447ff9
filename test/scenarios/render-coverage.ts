/** docs/coverage.md, from the table of rows and the names of the scenario files. */

import { CATEGORIES, filePrefix, NAMED, type Row, SHAPES, THREATS } from "./rows.ts";

const HEAD = `# What is covered

Each row of the acceptance page, and how far it goes today. \`npm run test:scenarios\` runs every scenario: a real gateway before hostile
servers that count what reaches them. This page is made by \`node scripts/coverage-doc.mjs\`.

| Word | Means |
|---|---|
| held | a control holds it, and a scenario shows it |
| partly | a scenario shows all but one check, and asserts the verdict that this one has today |
| recorded | nothing holds it; the receipts say \`not_established\` |
| open | no scenario yet; the words say what there is |
`;

/** @param files  names in test/scenarios */
export function renderCoverage(files: readonly string[]): string {
  const table = (title: string, rows: readonly Row[]): string =>
    [
      `\n## ${title}\n`,
      "| Row | | Today | Words | Scenario |",
      "|---|---|---|---|---|",
      ...rows.map((row) => `| ${[row.id, row.title, row.coverage, wordsOf(row), linkOf(row, files)].join(" | ")} |`),
      "",
    ].join("\n");
  return `${HEAD}${table("Thirteen shapes", SHAPES)}${table("Four threats", THREATS)}${table("Twelve categories", CATEGORIES)}${table("Threats by name", NAMED)}`;
}

function wordsOf({ words, open }: Row): string {
  return open === undefined ? words : `${words}. **Open:** ${open}`;
}

function linkOf(row: Row, files: readonly string[]): string {
  const file = fileOf(row, files);
  return file === undefined ? "" : `[${file}](../test/scenarios/${file})`;
}

/** The scenario of a row; undefined for an open one, and for one whose file is missing. */
export function fileOf(row: Row, files: readonly string[]): string | undefined {
  const prefix = filePrefix(row);
  return prefix === undefined ? undefined : files.find((name) => name.startsWith(prefix) && name.endsWith(".test.ts"));
}
