/**
 * What was ever signed must follow from what is on disk. A log that derives less than a recorded head, or another root,
 * lost data or was copied: it must not run, because its next signature could contradict an earlier one.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import { readRoot } from "../../kernel/merkle/prove.ts";
import type { TreeHead } from "../storage/head-store.ts";
import type { Tree } from "../tree/tree.ts";

/**
 * Checks one recorded or published head against the derived tree.
 *
 * @param name  what it is, for the message
 * @throws {StoreError} ERR_LOG_BEHIND, ERR_LOG_FORKED, both fatal
 */
export async function checkHead(tree: Tree, head: TreeHead, name: string): Promise<void> {
  if (head.size > tree.size) {
    throw new StoreError("ERR_LOG_BEHIND", `${name} has size ${head.size}, the disk gives ${tree.size}`, {
      fatal: true,
    });
  }
  if (equalBytes(await readRoot(head.size, tree.reader(head.size)), head.root)) return;
  throw new StoreError("ERR_LOG_FORKED", `${name} of size ${head.size} has another root than the disk`, {
    fatal: true,
  });
}
