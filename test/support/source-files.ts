/** The source files of the repository, for tests that read code as text. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root folder. */
export const ROOT: string = findRoot();

/** A source file: path from the root with forward slashes, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** All `.ts` files below the given top-level folders; one that does not exist yet has none. */
export function sourceFiles(folders: readonly string[]): readonly SourceFile[] {
  return folders.filter((folder) => existsSync(join(ROOT, folder))).flatMap((folder) => walk(join(ROOT, folder)));
}

/** The module specifiers that a file imports or re-exports, dynamic imports included. */
export function importsOf(text: string): readonly string[] {
  const statements = text.matchAll(/(?:^|\n)\s*(?:import|export)\s(?:[^;"']*?\sfrom\s)?["']([^"']+)["']/gu);
  const dynamic = text.matchAll(/\bimport\(\s*["']([^"']+)["']\s*\)/gu);
  return [...statements, ...dynamic].map((match) => match[1] ?? "");
}

function walk(folder: string): readonly SourceFile[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: relative(ROOT, path).split(sep).join("/"), text: readFileSync(path, "utf8") }));
}

/** Works from the sources and from dist/: the nearest folder above with a package.json. */
function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!readdirSync(folder).includes("package-lock.json")) folder = dirname(folder);
  return folder;
}
