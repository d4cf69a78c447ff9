/** What a mirror answered, judged strictly (C2SP tlog-mirror). */

import { parseBase64 } from "../../kernel/base64.ts";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { openNote } from "../../kernel/checkpoint/open-note.ts";
import { parseDecimal } from "../../kernel/decimal.ts";
import { isCodedError } from "../../kernel/errors.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import type { RawReply, WitnessFault } from "../checkpoint/witness-reply.ts";

/** Where an upload can go on. */
export interface MirrorInfo {
  readonly kind: "info";
  /** A size that the mirror would take an upload up to. */
  readonly pending: bigint;
  /** First index that it does not hold. */
  readonly next: bigint;
  /** To be sent back with the next upload. */
  readonly ticket: Uint8Array;
}

/** A judged answer to an upload. */
export type PushReply = { readonly kind: "stored" } | MirrorInfo | WitnessFault;

const INFO_TYPE = "text/x.tlog.mirror-info";

/**
 * Judges the answer to add-entries.
 *
 * @param text  of the checkpoint that the upload ends at: a 200 counts if the mirror's key cosigned it
 */
export function readPushReply(reply: RawReply, text: string, key: VerifierKey): PushReply {
  try {
    if (reply.status === 200) {
      openNote(`${text}\n${parseUtf8(reply.body)}`, [key]);
      return { kind: "stored" };
    }
    if (reply.status === 202 || reply.status === 409) return readInfo(reply);
  } catch (error) {
    if (!isCodedError(error)) throw error;
    return { kind: "fault", reason: error.code };
  }
  return { kind: "fault", reason: `status ${reply.status}`, isPassing: reply.status === 429 || reply.status >= 500 };
}

/** SPEC tlog-mirror: three lines, a valid pending size, the next entry, the ticket in base64. */
function readInfo({ status, contentType, body }: RawReply): PushReply {
  if (contentType.split(";")[0]?.trim().toLowerCase() !== INFO_TYPE) {
    return { kind: "fault", reason: `status ${status} without ${INFO_TYPE}` };
  }
  const [pending = "", next = "", ticket, end, ...rest] = parseUtf8(body).split("\n");
  if (ticket === undefined || end !== "" || rest.length > 0) {
    return { kind: "fault", reason: `status ${status} without its three lines` };
  }
  return { kind: "info", pending: parseDecimal(pending), next: parseDecimal(next), ticket: parseBase64(ticket) };
}
