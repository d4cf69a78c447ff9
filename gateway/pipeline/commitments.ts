/** Commitments of messages under a receipt's secret: field by field if they are JSON, by their bytes if they are not. */

import { commitBytes, commitJson } from "../../kernel/commitment.ts";
import { isCodedError } from "../../kernel/errors.ts";
import type { Commitment } from "../../kernel/receipt/fields.ts";
import { ABSENT, type Observed, present } from "../../kernel/receipt/observed.ts";
import { messageValue } from "../wire/message-value.ts";

const MAX_FIELDS_BYTES = 64 * 1024;

/**
 * Commits to a message.
 *
 * Above 64 KiB, and for what our own strict reader refuses (a server may send integers that a double rounds), the
 * commitment is to the bytes alone; its scheme says so.
 *
 * @param name  the member of the receipt that holds the commitment
 */
export function commitMessage(secret: Uint8Array, name: string, bytes: Uint8Array | undefined): Observed<Commitment> {
  if (bytes === undefined) return ABSENT;
  const fields = bytes.length <= MAX_FIELDS_BYTES ? commitFields(secret, name, bytes) : undefined;
  return present(fields ?? { scheme: "countersign/bytes/v1", root: commitBytes(secret, name, bytes) });
}

/** Commits to a short text of the call, such as a URI. */
export function commitText(secret: Uint8Array, name: string, text: string): Commitment {
  return { scheme: "countersign/bytes/v1", root: commitBytes(secret, name, new TextEncoder().encode(text)) };
}

function commitFields(secret: Uint8Array, name: string, bytes: Uint8Array): Commitment | undefined {
  try {
    const { value, isExact } = messageValue(bytes);
    if (!isExact) return undefined;
    return { scheme: "countersign/fields/v1", root: commitJson(secret, name, value, bytes) };
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
