/** Receipts as the schema has them. */

import { parseUtf8 } from "../../kernel/bytes.ts";
import { CheckError, FormatError } from "../../kernel/errors.ts";
import { parseHex } from "../../kernel/hex.ts";
import { parseTimestamp } from "../../kernel/time.ts";
import type { FollowedLedger } from "../follow/open-ledger.ts";
import { indexRowShape } from "../index/count-row.ts";
import { entryKey, leafKey, receiptKey, seqKey } from "../index/keys.ts";
import { countReceipts, type ReceiptFilter, scanReceipts } from "../index/receipt-scan.ts";
import { type Check, type ReceiptRow, receiptRowShape } from "../index/row-shapes.ts";
import { readRow } from "../index/rows.ts";
import { type Connection, connectionOf, type PageArguments, readPage } from "./connection.ts";
import { countArgument, type Desk, enumName, type RequestContext, wordOf } from "./nodes.ts";

/** The filter of the schema. */
export interface FilterArgument {
  readonly kind?: string | null;
  readonly tool?: string | null;
  readonly server?: string | null;
  readonly session?: string | null;
  readonly stream?: string | null;
  readonly decision?: string | null;
  readonly policy?: string | null;
  readonly from?: string | null;
  readonly to?: string | null;
}

/** The one receipt that is asked for. */
export interface ReceiptArgument {
  readonly index?: unknown;
  readonly leafHash?: string | null;
  readonly stream?: string | null;
  readonly seq?: unknown;
}

/** A check as the schema has it. */
interface CheckNode {
  readonly verdict: string;
  readonly code: string | null;
}

/** What the gateway did, in the schema's words. */
const DECISIONS = { forward: "ALLOW", refuse: "DENY", hold: "HOLD", phantom: "PHANTOM" } as const;
const NO_ISSUER: CheckNode = { verdict: "NOT_ESTABLISHED", code: null };
const MAX_TERM = 256;

/** A receipt of a ledger. */
export function receiptNode(ledger: FollowedLedger, row: ReceiptRow): object {
  const { index, leaf, stream, seq, time } = row;
  return {
    ledger: ledger.name,
    index,
    leafHash: leaf,
    stream,
    seq,
    kind: enumName(row.kind),
    time,
    tool: row.tool,
    server: row.server,
    method: row.method,
    session: row.session,
    decision: row.action === undefined ? null : DECISIONS[row.action],
    judgement: row.judgement === undefined ? null : enumName(row.judgement),
    wouldDeny: row.would_deny,
    step: row.step,
    reasons: row.reasons ?? [],
    policies: row.policies ?? [],
    policy: row.policy,
    mode: row.mode,
    status: row.status,
    effect: row.effect,
    decisionSeq: row.decision_seq,
    entry: () => entryText(ledger, index),
    checks: {
      inclusion: checkNode(row.checks.inclusion),
      signature: checkNode(row.checks.signature),
      continuity: checkNode(row.checks.continuity),
      issuer: NO_ISSUER,
    },
  };
}

/** A page of receipts. */
export async function receiptConnection(
  desk: Desk,
  ledger: FollowedLedger,
  args: PageArguments,
  filter: ReceiptFilter,
  context: RequestContext,
): Promise<Connection<object> & { readonly totalCount: () => Promise<number | null> }> {
  const page = readPage(args, desk.limits.max_page);
  const { rows, hasMore, stoppedAt } = await scanReceipts(ledger.rows, filter, page, context.checkTime);
  const nodes = rows.map((row) => ({ number: row.index, node: receiptNode(ledger, row) }));
  return {
    ...connectionOf(nodes, page, hasMore, stoppedAt),
    totalCount: async () => (await countReceipts(ledger.rows, filter)) ?? null,
  };
}

/** The filter of a request in the index's words. @throws {FormatError} ERR_REQUEST, ERR_TIMESTAMP */
export function readFilter(argument: FilterArgument | null | undefined): ReceiptFilter {
  const { kind, decision, from, to, ...terms } = argument ?? {};
  const entries = Object.entries({
    ...terms,
    kind: kind === undefined || kind === null ? undefined : wordOf(kind),
    decision: actionOf(decision),
  });
  const values = Object.fromEntries(entries.flatMap(([name, value]) => readTerm(name, value)));
  return {
    values,
    ...(from === undefined || from === null ? {} : { from: parseTimestamp(from) }),
    ...(to === undefined || to === null ? {} : { to: parseTimestamp(to) }),
  };
}

/** The receipt that the arguments name, or null. @throws {FormatError} ERR_REQUEST unless they name one in one way */
export async function findReceipt(ledger: FollowedLedger, args: ReceiptArgument): Promise<object | null> {
  const index = await findIndex(ledger, args);
  const row = index === undefined ? undefined : await readRow(ledger.rows, receiptKey(index), receiptRowShape);
  return row === undefined ? null : receiptNode(ledger, row);
}

async function findIndex({ rows }: FollowedLedger, args: ReceiptArgument): Promise<number | undefined> {
  const given = Object.entries(args).flatMap(([name, value]) => (value === undefined || value === null ? [] : [name]));
  const { index, leafHash, stream, seq } = args;
  switch (given.toSorted().join(" ")) {
    case "index":
      return countArgument("index", index);
    case "leafHash":
      return (await readRow(rows, leafKey(checkHash("leafHash", leafHash)), indexRowShape))?.index;
    case "seq stream": {
      const key = seqKey(checkHash("stream", stream), countArgument("seq", seq));
      return (await readRow(rows, key, indexRowShape))?.index;
    }
    default:
      throw new FormatError("ERR_REQUEST", "want index, or leafHash, or stream and seq");
  }
}

/** 64 hexadecimal digits. @throws {FormatError} ERR_HEX */
export function checkHash(name: string, text: string | null | undefined): string {
  if (text === undefined || text === null) throw new FormatError("ERR_REQUEST", `${name}: want a value`);
  parseHex(text, 32);
  return text;
}

async function entryText({ rows }: FollowedLedger, index: number): Promise<string> {
  const [bytes] = await rows.getMany([entryKey(index)]);
  if (bytes === undefined) throw new CheckError("ERR_ENTRY_UNKNOWN", "the index holds no entry of this index");
  return parseUtf8(bytes);
}

function checkNode({ verdict, code }: Check): CheckNode {
  return { verdict: enumName(verdict), code: code ?? null };
}

function actionOf(decision: string | null | undefined): string | undefined {
  return Object.entries(DECISIONS).find(([, name]) => name === decision)?.[0];
}

function readTerm(name: string, value: string | null | undefined): readonly (readonly [string, string])[] {
  if (value === undefined || value === null) return [];
  if (value.length > MAX_TERM || value.includes("\u0000") || value.includes("\u0001")) {
    throw new FormatError("ERR_REQUEST", `filter.${name}: want at most ${MAX_TERM} characters and no control ones`);
  }
  return [[name, value]];
}
