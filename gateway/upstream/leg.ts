/** What a handshake finds out about a server: era, revision, and what it says of itself. */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { type Era, REVISIONS, type Revision } from "../../kernel/receipt/vocabulary.ts";
import { META } from "../wire/meta-keys.ts";
import { MODERN_REVISION } from "../wire/revisions.ts";

/** A connected server's word. */
export interface Leg {
  readonly era: Era;
  readonly revision: Revision;
  readonly capabilities: JsonObject;
  readonly serverInfo: JsonValue;
  readonly instructions: string | undefined;
}

/**
 * Reads a result of `server/discover`; undefined if the server does not serve the modern revision. An answer alone says
 * nothing: some servers answer and serve legacy versions only.
 */
export function modernLeg(result: JsonObject): Leg | undefined {
  const { supportedVersions, _meta: meta } = result;
  if (!Array.isArray(supportedVersions) || !supportedVersions.includes(MODERN_REVISION)) return undefined;
  const serverInfo = isJsonObject(meta) ? (meta[META.serverInfo] ?? null) : null;
  return { era: "modern", revision: MODERN_REVISION, serverInfo, ...wordsOf(result) };
}

/** Reads a result of `initialize`; undefined if it agrees on a version that we do not know. */
export function legacyLeg(result: JsonObject): Leg | undefined {
  const { protocolVersion, serverInfo = null } = result;
  const revision = REVISIONS.find((known) => known === protocolVersion && known !== MODERN_REVISION);
  return revision === undefined ? undefined : { era: "legacy", revision, serverInfo, ...wordsOf(result) };
}

function wordsOf({ capabilities, instructions }: JsonObject): Pick<Leg, "capabilities" | "instructions"> {
  return {
    capabilities: isJsonObject(capabilities) ? capabilities : {},
    instructions: typeof instructions === "string" ? instructions : undefined,
  };
}
