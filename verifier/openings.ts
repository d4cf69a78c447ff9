/** Judges the items of a disclosure against the receipts of a bundle: one verdict for each. */

import { sha256 } from "#crypto";
import type { DisclosedItem, Disclosure } from "../kernel/disclosure.ts";
import { formatHex } from "../kernel/hex.ts";
import { formatCanonical } from "../kernel/json/canonical.ts";
import { checkOpening } from "../kernel/opening.ts";
import type { Commitment } from "../kernel/receipt/fields.ts";
import type { Observed } from "../kernel/receipt/observed.ts";
import type { StreamReceipt } from "../kernel/receipt/receipt.ts";
import type { OpenedMember } from "../kernel/receipt/vocabulary.ts";
import { type PlacedReceipt, receiptSubject } from "./read-entries.ts";
import { doubt, fault, findingsOf, type Judgement, resting } from "./verdict.ts";

/** The verdict about one item. */
export type OpeningVerdict = Judgement & {
  /** `<stream>/<seq>`. */
  readonly receipt: string;
  readonly member: OpenedMember;
  /** What was opened: a JSON Pointer, or `bytes`; absent if nothing was. */
  readonly part?: string;
  /** The opened field's canonical JSON, or the exact bytes in base64. Stands there only if the verdict is a pass. */
  readonly value?: string;
};

/**
 * Judges every item.
 *
 * @param rest  verdicts without which nothing that a receipt says counts
 */
export function judgeOpenings(
  { items }: Disclosure,
  receipts: readonly PlacedReceipt[],
  rest: readonly Judgement[],
): readonly OpeningVerdict[] {
  const byHash = new Map(receipts.map(({ receipt, at }) => [formatHex(sha256(at.bytes)), receipt]));
  const bySubject = new Set(receipts.map(({ receipt }) => receiptSubject(receipt)));
  return items.map((item) => {
    const subject = receiptSubject(item);
    const found = judgeItem(item, byHash.get(item.receipt), bySubject.has(subject));
    const judgement = resting(found, "receipts.unauthenticated", ...rest);
    return { ...judgement, receipt: subject, member: item.member, ...shown(item, judgement) };
  });
}

function judgeItem(item: DisclosedItem, receipt: StreamReceipt | undefined, isAnotherThere: boolean): Judgement {
  const subject = receiptSubject(item);
  if (receipt === undefined) {
    return isAnotherThere
      ? fault("ERR_OPENING_RECEIPT", subject, "the receipt of this number has another hash")
      : doubt("opening.receipt-absent", subject, "the receipt is not in the bundle");
  }
  if (receiptSubject(receipt) !== subject) {
    return fault("ERR_OPENING_RECEIPT", subject, `the receipt of this hash is ${receiptSubject(receipt)}`);
  }
  const commitment = commitmentOf(receipt, item.member);
  if (commitment?.state !== "present") {
    return fault("ERR_OPENING_RECEIPT", subject, `the receipt has no commitment ${item.member}`);
  }
  switch (item.state) {
    case "erased":
      return doubt("opening.erased", subject, `nobody can open ${item.member} any more, its maker says`);
    case "not-kept":
      return doubt("opening.not-kept", subject, `the message behind ${item.member} was not kept`);
    case "opened": {
      const [wrong] = findingsOf(subject, () => checkOpening(commitment.value, item.opening));
      return wrong ?? { verdict: "pass", detail: `${item.member} holds what the opening reveals` };
    }
  }
}

function commitmentOf(receipt: StreamReceipt, member: OpenedMember): Observed<Commitment> | undefined {
  if (receipt.kind === "decision") {
    if (member === "detail") return receipt.ruling.detail;
    if (member === "request_received" || member === "request_sent") return receipt[member];
  } else if (receipt.kind === "outcome" && (member === "response_received" || member === "response_returned")) {
    return receipt[member];
  }
  return undefined;
}

/** What is false is not shown as if it were in the receipt. */
function shown(item: DisclosedItem, { verdict }: Judgement): Pick<OpeningVerdict, "part" | "value"> {
  if (item.state !== "opened") return {};
  const { opening } = item;
  const part = opening.part === "field" ? opening.pointer : "bytes";
  if (verdict !== "pass") return { part };
  return { part, value: opening.part === "field" ? formatCanonical(opening.value) : opening.bytes };
}
