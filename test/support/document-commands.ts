/** The commands that the documents show: each line of a shell block, and each code span that begins with a program. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./source-files.ts";

/** A command as a document has it. */
export interface DocumentCommand {
  /** From the repository's root, with forward slashes. */
  readonly document: string;
  /** Without comments and prompts, continued lines joined, one space between words. */
  readonly text: string;
  /** The first command of its shell block; undefined for a code span. */
  readonly block: string | undefined;
}

/** Spans that begin so are commands; a path of `scripts/` is one by itself. */
const PROGRAMS =
  /^(?:countersign [a-z]|(?:npm|npx|node|bash|sh|curl|docker|kubectl) |\.ci\/run\b|scripts\/[\w-]+\.(?:sh|mjs)\b)/u;
/** Text files of docs/, whose comments may show commands as well. */
const READ = /\.(?:md|ya?ml)$/u;

/** README.md and all documents and examples below docs/. */
export const DOCUMENTS: readonly string[] = [
  "README.md",
  ...readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => READ.test(name))
    .map((name) => join("docs", name))
    .toSorted(),
];

/** The commands of all documents, in their order. */
export function documentCommands(): readonly DocumentCommand[] {
  return DOCUMENTS.flatMap((document) => commandsOf(document, readFileSync(join(ROOT, document), "utf8")));
}

/** The commands of one text. */
export function commandsOf(document: string, text: string): readonly DocumentCommand[] {
  const blocks = shellBlocks(text).flatMap((lines) => lines.map((line) => ({ document, text: line, block: lines[0] })));
  const spans = codeSpans(text)
    .filter((span) => PROGRAMS.test(span))
    .map((span) => ({ document, text: span, block: undefined }));
  return [...blocks, ...spans];
}

/** The text of the shell block, or else of the code span, whose first command is `first`, as it is pasted. @throws if there is none */
export function shellBlock(document: string, first: string): string {
  const text = readFileSync(join(ROOT, document), "utf8");
  const blocks = [...text.matchAll(SHELL)].map((match) => match[1] ?? "");
  const found = [...blocks, ...codeSpans(text)].find((each) => linesOf(each)[0] === first);
  if (found === undefined) throw new Error(`${document} has no command "${first}"`);
  return found;
}

const SHELL = /^```(?:sh|bash|shell|console)\n([\s\S]*?)^```$/gmu;

function shellBlocks(text: string): readonly (readonly string[])[] {
  return [...text.matchAll(SHELL)].map((match) => linesOf(match[1] ?? ""));
}

/** The commands of a block, each on one line, without comments. */
export function linesOf(block: string): readonly string[] {
  return block
    .replaceAll("\\\n", " ")
    .split("\n")
    .map((line) => line.replace(/(?:^|\s)#.*$/u, "").replace(/^\$ /u, ""))
    .map(oneSpace)
    .filter((line) => line !== "");
}

/** What stands in backticks outside of fenced blocks; a span of Markdown may be broken over two lines. */
function codeSpans(text: string): readonly string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gmu, "");
  return [...prose.matchAll(/`([^`]+)`/gu)].map((match) => oneSpace((match[1] ?? "").replaceAll("\\|", "|")));
}

function oneSpace(line: string): string {
  return line.replace(/\s+/gu, " ").trim();
}
