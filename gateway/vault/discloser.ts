/**
 * Disclosure: opens chosen parts of chosen receipts into a file that anybody verifies against the receipts of a bundle. A
 * receipt of it (who, which tier, which receipts, the file's hash) is durable before the file is handed out.
 */

import { join } from "node:path";
import { sha256 } from "#crypto";
import { parseBase64 } from "../../kernel/base64.ts";
import { MAX_COMMITTED_FIELDS } from "../../kernel/commitment.ts";
import { type DisclosedItem, formatDisclosure, MAX_DISCLOSED_ITEMS } from "../../kernel/disclosure.ts";
import { CheckError, FormatError, isCodedError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { listFields } from "../../kernel/json/pointer.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { checkPayload, openBytes, openField } from "../../kernel/opening.ts";
import type { Commitment } from "../../kernel/receipt/fields.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { parseReceipt, type StreamReceipt } from "../../kernel/receipt/receipt.ts";
import { OPENED_MEMBERS, type OpenedMember } from "../../kernel/receipt/vocabulary.ts";
import { array, boolean, literal, object, optional, type Shape, string } from "../../kernel/shape.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import type { ActionBook, Operator } from "../controls/operator.ts";
import { walkStream } from "../receipts/stream-log.ts";
import { readSecret } from "../receipts/vault.ts";
import { PayloadReader, type PayloadStore } from "./payload-store.ts";
import { parseReceiptRef, rangesOf, streamFolder } from "./stream-search.ts";

/** What somebody asks to open, body of `POST /vault/disclose`. */
export type DisclosureRequest = {
  /** `<stream>/<seq>`, all of one stream. */
  readonly receipts: readonly string[];
  readonly members: readonly OpenedMember[];
  /** JSON Pointers; one that names a container opens every field in it. */
  readonly fields: readonly string[];
  /** True: the exact bytes too, which is tier 3. */
  readonly bytes?: boolean;
  /** The message, base64, where the gateway did not keep it: for one receipt and one member. */
  readonly payload?: string;
};

/** A disclosure that was made. */
export type MadeDisclosure = {
  /** The file. */
  readonly text: string;
  /** Number of its receipt. */
  readonly receipt: number;
  readonly opened: number;
  readonly erased: number;
  readonly not_kept: number;
};

/** What a discloser works on. */
export interface DiscloserOptions {
  readonly dataDir: string;
  readonly payloads: Pick<PayloadStore, "written"> | undefined;
  readonly actions: ActionBook;
  readonly nowMs: () => number;
}

const MAX_RECEIPTS = 1024;
const MAX_FIELDS = 256;

/** Reads a DisclosureRequest. */
export const disclosureRequestShape: Shape<DisclosureRequest> = object<DisclosureRequest>({
  receipts: array(string({ maxLength: 96 }), { min: 1, max: MAX_RECEIPTS }),
  members: array(literal(...OPENED_MEMBERS), { min: 1, max: OPENED_MEMBERS.length }),
  fields: array(string({ maxLength: 65_535 }), { max: MAX_FIELDS }),
  bytes: optional(boolean()),
  payload: optional(string({ maxLength: 16 * 1024 * 1024 })),
});

/** Most bytes of a request. */
export const MAX_REQUEST_BYTES: number = 17 * 1024 * 1024;

/**
 * Opens what is asked for.
 *
 * @throws {FormatError} ERR_CONTROL_TARGET (no such receipts), ERR_BASE64, ERR_JSON_SIZE (more than one file may hold)
 * @throws {CheckError} ERR_OPENING_FIELD, ERR_OPENING_MISMATCH (the given payload), ERR_NOT_FOUND
 */
export async function disclose(
  options: DiscloserOptions,
  request: DisclosureRequest,
  operator: Operator,
): Promise<MadeDisclosure> {
  const { stream, seqs } = placesOf(request);
  await options.payloads?.written();
  const opener = new Opener(streamFolder(options.dataDir, stream), request);
  const items: DisclosedItem[] = [];
  for (const receipt of await readReceipts(options.dataDir, stream, seqs)) items.push(...(await opener.open(receipt)));
  if (items.length === 0) throw new CheckError("ERR_NOT_FOUND", "none of the receipts has such a commitment");
  if (items.length > MAX_DISCLOSED_ITEMS) throw new FormatError("ERR_JSON_SIZE", "more than one disclosure may hold");
  const file = formatDisclosure({ created: formatTimestamp(options.nowMs()), items });
  const receipt = await options.actions.write({
    action: "disclosed",
    operator,
    target: () => ({
      type: "disclosure",
      tier: request.bytes === true ? 3 : 2,
      file: `sha256:${formatHex(sha256(file))}`,
      stream,
      receipts: rangesOf([...new Set(items.map(({ seq }) => seq))].toSorted((a, b) => a - b)),
    }),
    reason: "operator.request",
  });
  const count = (state: DisclosedItem["state"]): number => items.filter((item) => item.state === state).length;
  const counts = { opened: count("opened"), erased: count("erased"), not_kept: count("not-kept") };
  return { text: new TextDecoder().decode(file), receipt, ...counts };
}

function placesOf({ receipts, members, fields, bytes, payload }: DisclosureRequest): {
  readonly stream: string;
  readonly seqs: ReadonlySet<number>;
} {
  const places = receipts.map(parseReceiptRef);
  const streams = new Set(places.map(({ stream }) => stream));
  const [stream] = streams;
  if (stream === undefined || streams.size > 1) throw new FormatError("ERR_CONTROL_TARGET", "want one stream");
  if (fields.length === 0 && bytes !== true) throw new FormatError("ERR_CONTROL_TARGET", "want fields, or bytes");
  if (payload !== undefined && (receipts.length > 1 || members.length > 1)) {
    throw new FormatError("ERR_CONTROL_TARGET", "want one receipt and one member with a payload");
  }
  return { stream, seqs: new Set(places.map(({ seq }) => seq)) };
}

interface ReadReceipt {
  readonly hash: string;
  readonly receipt: StreamReceipt;
}

async function readReceipts(
  dataDir: string,
  stream: string,
  seqs: ReadonlySet<number>,
): Promise<readonly ReadReceipt[]> {
  const found: ReadReceipt[] = [];
  for await (const { seq, bytes } of walkStream(streamFolder(dataDir, stream), Math.min(...seqs))) {
    if (seqs.has(seq)) found.push({ hash: formatHex(sha256(bytes)), receipt: parseReceipt(bytes) });
    if (found.length === seqs.size) return found;
  }
  throw new CheckError("ERR_NOT_FOUND", "the gateway has no such receipt");
}

/** Opens receipts of one stream. */
class Opener {
  readonly #vault: string;
  readonly #payloads: PayloadReader;
  readonly #request: DisclosureRequest;

  constructor(folder: string, request: DisclosureRequest) {
    this.#vault = join(folder, "vault");
    this.#payloads = new PayloadReader(join(folder, "payloads"));
    this.#request = request;
  }

  async open({ hash, receipt }: ReadReceipt): Promise<readonly DisclosedItem[]> {
    const items: DisclosedItem[] = [];
    const { stream, seq } = receipt;
    for (const member of this.#request.members) {
      const commitment = commitmentOf(receipt, member);
      if (commitment === undefined) continue;
      const place = { stream, seq, receipt: hash, member };
      const secret = await readSecret(this.#vault, seq);
      if (secret === undefined) {
        items.push({ ...place, state: "erased" });
        continue;
      }
      const payload = await this.#payloadOf(seq, member, secret, commitment);
      if (payload === undefined) items.push({ ...place, state: "not-kept" });
      else
        for (const opening of this.#openings(secret, member, commitment, payload)) items.push({ ...place, ...opening });
    }
    return items;
  }

  /** What was kept is checked like what was handed in: an opening that would not hold leaves nobody's hands. */
  async #payloadOf(
    seq: number,
    member: OpenedMember,
    secret: Uint8Array,
    commitment: Commitment,
  ): Promise<Uint8Array | undefined> {
    const { payload: given } = this.#request;
    if (given !== undefined) {
      const payload = parseBase64(given);
      checkPayload(commitment, secret, member, payload);
      return payload;
    }
    const kept = await this.#payloads.read(seq, member, secret);
    // What a crash left of another message under this number is not this receipt's.
    return kept !== undefined && isCommitted(commitment, secret, member, kept) ? kept : undefined;
  }

  #openings(
    secret: Uint8Array,
    member: OpenedMember,
    { scheme }: Commitment,
    payload: Uint8Array,
  ): readonly Pick<Extract<DisclosedItem, { readonly state: "opened" }>, "state" | "opening">[] {
    const { fields, bytes } = this.#request;
    const value = scheme === "countersign/fields/v1" ? parseJson(payload, { maxBytes: payload.length }) : undefined;
    const pointers = value === undefined ? [] : pointersIn(value, fields);
    // Without fields to choose from, only the whole can be opened, and only if it was asked for.
    if (pointers.length === 0 && bytes !== true) {
      throw new CheckError("ERR_OPENING_FIELD", `${member}: the message has no such field to open`);
    }
    const opened = pointers.map((pointer) => {
      const opening = openField(secret, member, value ?? null, payload, pointer);
      return { state: "opened", opening } as const;
    });
    if (bytes !== true) return opened;
    return [...opened, { state: "opened", opening: openBytes(secret, member, value, payload) }];
  }
}

function isCommitted(commitment: Commitment, secret: Uint8Array, member: string, payload: Uint8Array): boolean {
  try {
    checkPayload(commitment, secret, member, payload);
    return true;
  } catch (error) {
    if (isCodedError(error)) return false;
    throw error;
  }
}

/** The fields of a value that are named, or lie in what is named. */
function pointersIn(value: JsonValue, wanted: readonly string[]): readonly string[] {
  return listFields(value, MAX_COMMITTED_FIELDS)
    .map(({ pointer }) => pointer)
    .filter((pointer) => wanted.some((each) => pointer === each || pointer.startsWith(`${each}/`)));
}

function commitmentOf(receipt: StreamReceipt, member: OpenedMember): Commitment | undefined {
  if (member === "detail") return receipt.kind === "decision" ? observedValue(receipt.ruling.detail) : undefined;
  const isRequest = member === "request_received" || member === "request_sent";
  const field =
    isRequest && receipt.kind === "decision"
      ? receipt[member]
      : !isRequest && receipt.kind === "outcome"
        ? receipt[member]
        : undefined;
  return field?.state === "present" ? field.value : undefined;
}
