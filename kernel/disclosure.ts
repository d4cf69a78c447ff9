/**
 * Disclosures (docs/formats/disclosure.md): openings of what receipts committed to, in one file that is verified offline
 * against the receipts of a bundle. JCS of the object and one LF. It holds nothing that binds it to its maker: what an
 * opening proves, it proves against a signed receipt.
 */

import { formatUtf8, parseUtf8 } from "./bytes.ts";
import { FormatError } from "./errors.ts";
import { formatCanonical, parseCanonical } from "./json/canonical.ts";
import { type Opening, openingShape } from "./opening.ts";
import { type Hex64, hex64Shape, seqShape } from "./receipt/fields.ts";
import { OPENED_MEMBERS, type OpenedMember } from "./receipt/vocabulary.ts";
import { array, literal, mapped, object, readShape, type Shape, tagged, timestamp } from "./shape.ts";
import type { Timestamp } from "./time.ts";

/** Which commitment of which receipt. */
export type OpenedPlace = {
  readonly stream: Hex64;
  readonly seq: number;
  /** Hash of the receipt's bytes. */
  readonly receipt: Hex64;
  readonly member: OpenedMember;
};

/** One thing that was asked for: an opening, or why there is none. */
export type DisclosedItem =
  | (OpenedPlace & { readonly state: "opened"; readonly opening: Opening })
  /** The secret of the receipt was destroyed: nobody can open it any more. */
  | (OpenedPlace & { readonly state: "erased" })
  /** The secret is there, and the message was not kept. */
  | (OpenedPlace & { readonly state: "not-kept" });

/** A disclosure. */
export interface Disclosure {
  /** By its maker's clock; nothing authenticates it. */
  readonly created: Timestamp;
  /** Ascending by stream, seq, member and pointer, each once. */
  readonly items: readonly DisclosedItem[];
}

/** Most bytes of a disclosure file. */
export const MAX_DISCLOSURE_BYTES: number = 64 * 1024 * 1024;

/** Most items of one disclosure. */
export const MAX_DISCLOSED_ITEMS = 65_536;

interface DisclosureFile extends Disclosure {
  readonly kind: "disclosure";
  readonly v: 1;
}

const place = {
  stream: hex64Shape,
  seq: seqShape,
  receipt: hex64Shape,
  member: literal(...OPENED_MEMBERS),
};

const itemShape: Shape<DisclosedItem> = tagged("state", {
  opened: object<OpenedPlace & { readonly state: "opened"; readonly opening: Opening }>({
    ...place,
    state: literal("opened"),
    opening: openingShape,
  }),
  erased: object<OpenedPlace & { readonly state: "erased" }>({ ...place, state: literal("erased") }),
  "not-kept": object<OpenedPlace & { readonly state: "not-kept" }>({ ...place, state: literal("not-kept") }),
});

const fileShape: Shape<DisclosureFile> = object<DisclosureFile>({
  kind: literal("disclosure"),
  v: literal(1),
  created: timestamp(),
  items: mapped(array(itemShape, { max: MAX_DISCLOSED_ITEMS }), checkOrder),
});

/**
 * Reads a disclosure file. Nothing is verified.
 *
 * @throws {FormatError} ERR_UTF8, ERR_JSON_*, ERR_SHAPE (also for items out of order or twice)
 */
export function parseDisclosure(bytes: Uint8Array): Disclosure {
  if (bytes.length > MAX_DISCLOSURE_BYTES) {
    throw new FormatError("ERR_JSON_SIZE", `want at most ${MAX_DISCLOSURE_BYTES} bytes`);
  }
  const text = parseUtf8(bytes);
  if (!text.endsWith("\n")) throw new FormatError("ERR_JSON_CANONICAL", "want one newline behind the disclosure");
  const value = parseCanonical(text.slice(0, -1), { maxBytes: MAX_DISCLOSURE_BYTES });
  const { created, items } = readShape(fileShape, value, "disclosure");
  return { created, items };
}

/** The bytes of a disclosure file. Items may come in any order. */
export function formatDisclosure({ created, items }: Disclosure): Uint8Array {
  const sorted = [...items].sort((a, b) => compare(orderOf(a), orderOf(b)));
  return formatUtf8(`${formatCanonical({ kind: "disclosure", v: 1, created, items: sorted })}\n`);
}

/** Text by which items are ordered: a pointer is empty or begins with `/`, so the exact bytes come last. */
export function orderOf(item: DisclosedItem): string {
  const part = item.state === "opened" && item.opening.part === "field" ? `f${item.opening.pointer}` : "g";
  return `${item.stream}${String(item.seq).padStart(16, "0")}${item.member} ${part}`;
}

function checkOrder(items: readonly DisclosedItem[]): readonly DisclosedItem[] {
  let before = "";
  for (const item of items) {
    const order = orderOf(item);
    if (compare(before, order) >= 0) throw new FormatError("ERR_SHAPE", "want distinct items in ascending order");
    before = order;
  }
  return items;
}

/** By UTF-16 code units, as JCS orders member names. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
