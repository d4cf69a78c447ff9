/** Evidence of one call whose sent request is known, and disclosures of it. */

import { commitJson } from "../../kernel/commitment.ts";
import { type DisclosedItem, formatDisclosure } from "../../kernel/disclosure.ts";
import { formatHex } from "../../kernel/hex.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { openBytes, openField } from "../../kernel/opening.ts";
import { present } from "../../kernel/receipt/observed.ts";
import { parseTimestamp } from "../../kernel/time.ts";
import {
  decide,
  denied,
  type Evidence,
  finish,
  LOADS,
  makeEvidence,
  ONE_AND_ONE,
  openSession,
  seal,
} from "./evidence.ts";

/** The payload of docs/formats/commitment.md. */
export const PAYLOAD: Uint8Array = new TextEncoder().encode('{ "to": "ops@example.com", "tags": [], "copies": 2 }');
export const SECRET: Uint8Array = Uint8Array.from({ length: 32 }, (_, i) => i);
const VALUE = parseJson(PAYLOAD);
const NAME = "request_sent";

/** A bundle whose first decision is receipt 4. */
export function evidenceOfRequest(): Promise<Evidence> {
  const root = commitJson(SECRET, NAME, VALUE, PAYLOAD);
  const commitment = present({ scheme: "countersign/fields/v1", root } as const);
  return makeEvidence({
    steps: [
      ...LOADS,
      openSession(),
      decide(0, (decision) => ({ ...decision, request_sent: commitment })),
      finish(4),
      decide(1, denied),
      seal(3, ONE_AND_ONE),
    ],
  });
}

/** Opens one field of the request, or its exact bytes. */
export function opened({ receipts, stream }: Evidence, pointer: string | undefined): DisclosedItem {
  const opening =
    pointer === undefined ? openBytes(SECRET, NAME, VALUE, PAYLOAD) : openField(SECRET, NAME, VALUE, PAYLOAD, pointer);
  return { ...placeOf(receipts, stream), state: "opened", opening };
}

/** Where the request's commitment stands. */
export function placeOf(
  receipts: Evidence["receipts"],
  stream: string,
): Pick<DisclosedItem, "stream" | "seq" | "receipt" | "member"> {
  const decision = receipts.find(({ receipt }) => receipt.kind === "decision");
  if (decision === undefined) throw new Error("no decision");
  return { stream, seq: decision.receipt.seq, receipt: formatHex(decision.hash), member: NAME };
}

/** A disclosure file of items. */
export function disclosureOf(...items: readonly DisclosedItem[]): Uint8Array {
  return formatDisclosure({ created: parseTimestamp("2023-11-14T22:13:25.000Z"), items });
}
