/** Hands the messages of a receipt over for later disclosure. */

import { OPENED_MEMBERS, type OpenedMember } from "../../kernel/receipt/vocabulary.ts";
import type { ReceiptPlace } from "../receipts/recorder.ts";
import type { KeepPayload } from "../vault/payload-store.ts";

/** Messages by the members of receipts that commit to them. */
export type OpenedMessages = Readonly<Partial<Record<OpenedMember, Uint8Array | undefined>>>;

/** @param keep  undefined: nothing is kept */
export function keepMessages(
  keep: KeepPayload | undefined,
  { secret, header: { seq } }: ReceiptPlace,
  messages: OpenedMessages,
): void {
  if (keep === undefined) return;
  for (const member of OPENED_MEMBERS) {
    const bytes = messages[member];
    if (bytes !== undefined) keep(seq, member, secret, bytes);
  }
}
