/** The resolvers of the schema's Query: they read the index, and never a ledger. */

import { object, type Shape, string } from "../../kernel/shape.ts";
import type { FollowedLedger } from "../follow/open-ledger.ts";
import { alarmRowShape } from "../index/alarms.ts";
import { streamKey } from "../index/keys.ts";
import { registrationRowShape, streamRowShape } from "../index/row-shapes.ts";
import { parseRow, type Row, readRow } from "../index/rows.ts";
import { type Connection, type PageArguments, pageOfRows, readPage } from "./connection.ts";
import { alarmNode, checkpointNode, ledgerNode } from "./ledger-node.ts";
import { type Desk, type LedgerArgument, ledgerOf, type RequestContext } from "./nodes.ts";
import { consistencyProof, inclusionProof, logProof } from "./proof-node.ts";
import {
  checkHash,
  type FilterArgument,
  findReceipt,
  type ReceiptArgument,
  readFilter,
  receiptConnection,
} from "./receipt-node.ts";
import { findSession, registrationNode, sessionOfOrder, streamNode } from "./stream-node.ts";

type PagedArguments = LedgerArgument & PageArguments;
type Resolver<A> = (args: A, context: RequestContext) => unknown;

const streamNameShape: Shape<{ readonly stream: string }> = object<{ readonly stream: string }>({ stream: string() });

/** One resolver a field of Query. */
export interface RootValue {
  readonly node: Resolver<object>;
  readonly ledgers: Resolver<object>;
  readonly checkpoint: Resolver<LedgerArgument>;
  readonly receipts: Resolver<PagedArguments & { readonly filter?: FilterArgument | null }>;
  readonly receipt: Resolver<LedgerArgument & ReceiptArgument>;
  readonly sessions: Resolver<PagedArguments>;
  readonly session: Resolver<LedgerArgument & { readonly id: string; readonly stream?: string | null }>;
  readonly streams: Resolver<PagedArguments>;
  readonly stream: Resolver<LedgerArgument & { readonly id: string }>;
  readonly registrations: Resolver<PagedArguments>;
  readonly inclusionProof: Resolver<LedgerArgument & { readonly index: unknown; readonly size?: unknown }>;
  readonly consistencyProof: Resolver<LedgerArgument & { readonly from: unknown; readonly to?: unknown }>;
  readonly logProof: Resolver<LedgerArgument & { readonly index: unknown }>;
  readonly alarms: Resolver<PagedArguments>;
}

/** Makes the resolvers. */
export function makeRoot(desk: Desk): RootValue {
  const ledgers = (): readonly object[] => desk.ledgers.map(ledgerNode);
  return {
    node: () => ({ version: desk.version, started: desk.started, limits: limitsNode(desk), ledgers }),
    ledgers,
    checkpoint: (args) => checkpointNode(ledgerOf(desk, args)),
    receipts: (args, context) => receiptConnection(desk, ledgerOf(desk, args), args, readFilter(args.filter), context),
    receipt: ({ ledger, ...args }) => findReceipt(ledgerOf(desk, { ledger: ledger ?? null }), args),
    session: (args) => findSession(desk, ledgerOf(desk, args), checkTerm(args.id), args.stream),
    stream: (args) => findStream(desk, ledgerOf(desk, args), args.id),
    inclusionProof: (args) => inclusionProof(ledgerOf(desk, args), args.index, args.size),
    consistencyProof: (args) => consistencyProof(ledgerOf(desk, args), args.from, args.to),
    logProof: (args) => logProof(ledgerOf(desk, args), args.index),
    ...listResolvers(desk),
  };
}

function listResolvers(desk: Desk): Pick<RootValue, "sessions" | "streams" | "registrations" | "alarms"> {
  const list =
    (tag: string, read: (ledger: FollowedLedger, row: Row) => Promise<object | null>) =>
    (args: PagedArguments): Promise<Connection<object | null>> => {
      const ledger = ledgerOf(desk, args);
      return pageOfRows(ledger.rows, [tag], readPage(args, desk.limits.max_page), (row) => read(ledger, row));
    };
  return {
    sessions: list("no", (ledger, row) => sessionOfOrder(desk, ledger, row)),
    streams: list("uo", (ledger, { value }) => findStream(desk, ledger, parseRow(value, streamNameShape).stream)),
    registrations: list("g", async (ledger, { value }) =>
      registrationNode(ledger, parseRow(value, registrationRowShape)),
    ),
    alarms: list("a", async (ledger, { value }) => alarmNode(ledger, parseRow(value, alarmRowShape))),
  };
}

async function findStream(desk: Desk, ledger: FollowedLedger, id: string): Promise<object | null> {
  const row = await readRow(ledger.rows, streamKey(checkHash("stream", id)), streamRowShape);
  return row === undefined ? null : streamNode(desk, ledger, row);
}

/** Ids with a separator of keys in them name nothing. */
function checkTerm(id: string): string {
  return /^[0-9a-f-]{1,64}$/u.test(id) ? id : "none";
}

function limitsNode({ limits }: Desk): object {
  return {
    maxDepth: limits.max_depth,
    maxCost: limits.max_cost,
    maxAliases: limits.max_aliases,
    maxTokens: limits.max_tokens,
    maxPage: limits.max_page,
    maxBodyBytes: limits.max_body_bytes,
    timeoutMs: limits.timeout_ms,
  };
}
