/**
 * States of version 0.1.0, one file an origin, taken over once into a new journal: `<hex SHA-256(origin)>.state` holds
 * the line `countersign-witness-state/v1 <hex SHA-256 of the rest>` and the cosigned checkpoint. Order of writes:
 *
 *     1. the journal, with all of them      a crash behind it: a journal of just these states and no fence, which the next start
 *                                           goes on with as if it had begun it
 *     2. the fence
 *     3. the old states are removed         a crash amid it: the next start removes the rest
 */

import { sha256 } from "#crypto";
import { parseUtf8 } from "../kernel/bytes.ts";
import { isCodedError, StoreError } from "../kernel/errors.ts";
import { formatHex } from "../kernel/hex.ts";
import type { JournalRecord } from "./journal-frame.ts";
import type { StateFiles } from "./state-files.ts";

const MAGIC = "countersign-witness-state/v1";
const NAME = /^[0-9a-f]{64}\.state$/u;

/**
 * The states that are there, as records.
 *
 * @throws {StoreError} ERR_WITNESS_STATE, fatal, if one is damaged
 */
export async function readOldStates(files: StateFiles): Promise<readonly JournalRecord[]> {
  const records: JournalRecord[] = [];
  for (const name of await oldNames(files)) {
    const content = await files.read(name);
    if (content !== undefined) records.push({ kind: "cosigned", text: readOldState(name, content) });
  }
  return records;
}

/** Removes the states; only once the journal that holds them is durable, and its fence. */
export async function removeOldStates(files: StateFiles): Promise<void> {
  for (const name of await oldNames(files)) await files.remove(name);
}

async function oldNames(files: StateFiles): Promise<readonly string[]> {
  return (await files.list("")).filter((name) => NAME.test(name));
}

function readOldState(name: string, content: Uint8Array): string {
  const lineEnd = content.indexOf(0x0a);
  const body = content.subarray(lineEnd + 1);
  try {
    const line = parseUtf8(content.subarray(0, lineEnd + 1));
    if (line === `${MAGIC} ${formatHex(sha256(body))}\n`) return parseUtf8(body);
  } catch (error) {
    if (!isCodedError(error)) throw error;
  }
  throw new StoreError("ERR_WITNESS_STATE", `the state file ${name} is damaged`, { fatal: true });
}
