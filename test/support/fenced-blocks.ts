/** The named examples in documents: fenced blocks that begin with a language and a name. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./source-files.ts";

/**
 * Reads the named blocks of a document. The returned function gives a block's text without its last line end.
 *
 * @param path  from the repository's root, for example `docs/formats/signature.md`
 */
export function fencedBlocks(path: string): (name: string) => string {
  const document = readFileSync(join(ROOT, path), "utf8");
  const blocks = [...document.matchAll(/^```[a-z]+ ([a-z0-9-]+)\n([\s\S]*?)\n```$/gmu)];
  const byName = new Map(blocks.map((block) => [block[1] ?? "", block[2] ?? ""]));
  return (name) => {
    const text = byName.get(name);
    if (text === undefined) throw new Error(`${path} has no example called ${name}`);
    return text;
  };
}
