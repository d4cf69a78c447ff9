/** Commitments of messages under a receipt's secret: field by field if they are JSON, by their bytes if they are not. */

import { type CommittedFields, commitBytes, commitFields, committedFields } from "../../kernel/commitment.ts";
import { isCodedError } from "../../kernel/errors.ts";
import type { Commitment } from "../../kernel/receipt/fields.ts";
import { ABSENT, type Observed, present } from "../../kernel/receipt/observed.ts";
import { messageValue } from "../wire/message-value.ts";

const MAX_FIELDS_BYTES = 64 * 1024;

/** A message, if there is one, and the member of the receipt that holds its commitment. */
type NamedMessage = readonly [name: string, bytes: Uint8Array | undefined];

/**
 * Commits to a message.
 *
 * Above 64 KiB, and for what our own strict reader refuses (a server may send integers that a double rounds), the
 * commitment is to the bytes alone; its scheme says so.
 *
 * @param name  the member of the receipt that holds the commitment
 */
export function commitMessage(secret: Uint8Array, name: string, bytes: Uint8Array | undefined): Observed<Commitment> {
  return commitmentOf(secret, [name, bytes], fieldsOf(bytes, undefined));
}

/** Commits to a message and to what was made of it: the fields that they share are listed once. */
export function commitMessages(
  secret: Uint8Array,
  given: NamedMessage,
  made: NamedMessage,
): readonly [Observed<Commitment>, Observed<Commitment>] {
  const fields = fieldsOf(given[1], undefined);
  return [commitmentOf(secret, given, fields), commitmentOf(secret, made, fieldsOf(made[1], fields))];
}

/** @param fields  undefined if the message is committed to by its bytes alone */
function commitmentOf(
  secret: Uint8Array,
  [name, bytes]: NamedMessage,
  fields: CommittedFields | undefined,
): Observed<Commitment> {
  if (bytes === undefined) return ABSENT;
  if (fields === undefined) {
    return present({ scheme: "countersign/bytes/v1", root: commitBytes(secret, name, bytes) });
  }
  return present({ scheme: "countersign/fields/v1", root: commitFields(secret, name, fields, bytes) });
}

/** Commits to a short text of the call, such as a URI. */
export function commitText(secret: Uint8Array, name: string, text: string): Commitment {
  return { scheme: "countersign/bytes/v1", root: commitBytes(secret, name, new TextEncoder().encode(text)) };
}

/** @param before  of the message that this one was made of */
function fieldsOf(bytes: Uint8Array | undefined, before: CommittedFields | undefined): CommittedFields | undefined {
  if (bytes === undefined || bytes.length > MAX_FIELDS_BYTES) return undefined;
  try {
    const { value, isExact } = messageValue(bytes);
    return isExact ? committedFields(value, before) : undefined;
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
