/** The tools of calls, where a disclosure opens the name in the request that was sent, or the whole of it. */

import { formatUtf8 } from "../kernel/bytes.ts";
import { parseJson } from "../kernel/json/parse.ts";
import { isJsonObject, type JsonValue } from "../kernel/json/value.ts";
import type { OpeningVerdict } from "./openings.ts";
import { openedBytes, openedKey } from "./replay.ts";

/** Names of tools by the receipts (`<stream>/<seq>`) of their calls. */
export type DisclosedTools = ReadonlyMap<string, string>;

const MEMBER = "request_sent";
const NAME = "/params/name";

/** What the openings that pass say. */
export function disclosedTools(openings: readonly OpeningVerdict[]): DisclosedTools {
  const messages = openedBytes(openings);
  const tools = new Map<string, string>();
  for (const { receipt, member, part, value } of openings) {
    if (member !== MEMBER || value === undefined) continue;
    const name = part === NAME ? parseJson(formatUtf8(value)) : nameIn(messages.get(openedKey(receipt, MEMBER)));
    if (typeof name === "string") tools.set(receipt, name);
  }
  return tools;
}

function nameIn(message: JsonValue | undefined): JsonValue | undefined {
  const params = message !== undefined && isJsonObject(message) ? message["params"] : undefined;
  return params !== undefined && isJsonObject(params) ? params["name"] : undefined;
}
