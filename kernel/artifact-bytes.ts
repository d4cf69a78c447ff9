/** What the artifacts of a gateway and those of single agents and sessions have in common: bounded bytes, signature by signature. */

import { FormatError } from "./errors.ts";
import { parseCanonical } from "./json/canonical.ts";
import type { JsonObject, JsonValue } from "./json/value.ts";
import type { Shape } from "./shape.ts";
import { signEnvelope } from "./signature/envelope.ts";
import type { EnvelopeSigner } from "./signature/signer.ts";

/** Most bytes of an artifact. */
export const MAX_ARTIFACT_BYTES = 1_048_576;

/** A body with one signature more. @throws {FormatError} ERR_SHAPE if the key has signed already */
export function withSignature(value: JsonObject, kind: string, signer: EnvelopeSigner): JsonObject {
  const { signatures, ...body } = value;
  const before: readonly JsonValue[] = Array.isArray(signatures) ? signatures : [];
  const { signatures: own } = signEnvelope({ ...body, kind }, [signer]);
  return { ...body, kind, signatures: [...before, ...own] };
}

/** The artifact that bounded canonical bytes spell. @throws {FormatError} ERR_ENTRY_LENGTH, ERR_JSON_*, ERR_SHAPE */
export function parseSealed<T>(shape: Shape<T>, bytes: Uint8Array): T {
  if (bytes.length > MAX_ARTIFACT_BYTES) {
    throw new FormatError("ERR_ENTRY_LENGTH", `want at most ${MAX_ARTIFACT_BYTES} bytes, got ${bytes.length}`);
  }
  return shape.read(parseCanonical(bytes), "artifact");
}
