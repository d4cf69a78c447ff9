/**
 * Obligation `attestation.hardware`. Hardware evidence is not appraised yet, so it is never established; the reason is
 * what the receipts themselves say about their keys.
 */

import { type PlacedReceipt, receiptSubject } from "./read-entries.ts";
import { doubt, type Judgement } from "./verdict.ts";

/** The verdict, always `not_established`. */
export function judgeAttestation(receipts: readonly PlacedReceipt[]): Judgement {
  const [first] = receipts;
  if (first === undefined) return doubt("receipts.none", "bundle", "the bundle holds no receipt");
  const weakest = receipts.find(({ receipt }) => receipt.attestation.state !== "present") ?? first;
  const { attestation } = weakest.receipt;
  const subject = receiptSubject(weakest.receipt);
  if (attestation.state === "present") {
    return doubt("attestation.unverified", subject, "the receipt refers to evidence that nobody appraised");
  }
  const protection = receipts.flatMap(({ receipt }) =>
    receipt.kind === "stream-open" ? [receipt.key_protection] : [],
  );
  const keys = protection[0] ?? "unknown";
  return doubt(attestation.reason, subject, `no hardware evidence; the gateway declares ${keys} keys`);
}
