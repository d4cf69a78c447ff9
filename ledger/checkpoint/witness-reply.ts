/**
 * What a witness answered, judged strictly: a reply counts only in the one form that the protocol gives it. Witnesses
 * that are in use answer 409 without a body, or 500 where 403 is due; none of that may move us.
 */

import { parseUtf8 } from "../../kernel/bytes.ts";
import { openNote, type VerifiedLine } from "../../kernel/checkpoint/open-note.ts";
import { parseDecimal } from "../../kernel/decimal.ts";
import { isCodedError } from "../../kernel/errors.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";

/** Longest reply that is read: some lines of 3.3 kB. */
export const MAX_REPLY_BYTES = 65_536;

const SIZE_TYPE = "text/x.tlog.size";

/** An HTTP answer in parts. */
export interface RawReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: Uint8Array;
  /** The header, if there was one. */
  readonly retryAfter?: string | undefined;
}

/** A judged answer. */
export type WitnessReply =
  | { readonly kind: "cosigned"; readonly lines: readonly VerifiedLine[] }
  | { readonly kind: "other-size"; readonly size: bigint }
  | WitnessFault;

/** An answer that does not count. */
export interface WitnessFault {
  readonly kind: "fault";
  /** A sentence or an error code; never what the witness sent. */
  readonly reason: string;
  /** True if the same request may do a moment later. */
  readonly isPassing?: boolean;
  /** What the witness asked for. */
  readonly retryAfterMs?: number;
  /** True if it claims, without proof, to have seen a larger tree than this log ever recorded. */
  readonly claimsAhead?: boolean;
}

const MAX_RETRY_AFTER_SECONDS = 3600;

/**
 * Judges the answer to an add-checkpoint of `text`.
 *
 * @param keys  the keys of this witness; lines of other keys are dropped, false ones of these are a fault
 */
export function readReply(reply: RawReply, text: string, keys: readonly VerifierKey[]): WitnessReply {
  if (reply.status === 200) return readCosignatures(reply.body, text, keys);
  if (reply.status === 409) return readSize(reply);
  const isPassing = reply.status === 429 || reply.status >= 500;
  return { kind: "fault", reason: `status ${reply.status}`, isPassing, ...readRetryAfter(reply) };
}

/** Seconds in decimal; a date, or anything else, says nothing to us. */
function readRetryAfter({ retryAfter }: RawReply): { readonly retryAfterMs?: number } {
  if (retryAfter === undefined || !/^\d{1,6}$/u.test(retryAfter)) return {};
  return { retryAfterMs: Math.min(Number(retryAfter), MAX_RETRY_AFTER_SECONDS) * 1000 };
}

/** SPEC tlog-witness: the body of a 200 is signature lines; text and lines, put together, must be a note. */
function readCosignatures(body: Uint8Array, text: string, keys: readonly VerifierKey[]): WitnessReply {
  try {
    return { kind: "cosigned", lines: openNote(`${text}\n${parseUtf8(body)}`, keys).verified };
  } catch (error) {
    if (!isCodedError(error)) throw error;
    return { kind: "fault", reason: error.code };
  }
}

/** SPEC tlog-witness: 409 carries text/x.tlog.size and the recorded size in decimal, ended by LF. */
function readSize({ contentType, body }: RawReply): WitnessReply {
  if (contentType.split(";")[0]?.trim().toLowerCase() !== SIZE_TYPE) {
    return { kind: "fault", reason: "status 409 without text/x.tlog.size" };
  }
  try {
    const text = parseUtf8(body);
    if (!text.endsWith("\n")) return { kind: "fault", reason: "status 409 without a size" };
    return { kind: "other-size", size: parseDecimal(text.slice(0, -1)) };
  } catch (error) {
    if (!isCodedError(error)) throw error;
    return { kind: "fault", reason: error.code };
  }
}
