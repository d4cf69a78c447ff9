/** Relay connections: page arguments, opaque cursors, page information. */

import { formatBase64, parseBase64 } from "../../kernel/base64.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { parseDecimal } from "../../kernel/decimal.ts";
import { FormatError, isCodedError } from "../../kernel/errors.ts";
import { numberedKey, numberOfKey, rangeUnder } from "../index/keys.ts";
import type { PageRequest } from "../index/receipt-scan.ts";
import type { Row, RowReader } from "../index/rows.ts";
import { DEFAULT_PAGE, limitError } from "./limits.ts";

/** The four arguments of every connection. */
export interface PageArguments {
  readonly first?: number | null;
  readonly after?: string | null;
  readonly last?: number | null;
  readonly before?: string | null;
}

/** Page information as the schema has it. */
export interface PageInfo {
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  readonly startCursor: string | null;
  readonly endCursor: string | null;
}

/** A connection as the schema has it. */
export interface Connection<T> {
  readonly edges: readonly { readonly cursor: string; readonly node: T }[];
  readonly pageInfo: PageInfo;
}

const CURSOR_PREFIX = "n:";

/**
 * Reads the arguments of a connection.
 *
 * @throws {FormatError} ERR_REQUEST (first and last together, a negative size), ERR_CURSOR
 * @throws {GraphQLError} ERR_GRAPHQL_LIMIT for a page above the limit
 */
export function readPage(args: PageArguments, maxPage: number): PageRequest {
  const { first, last } = args;
  if (isGiven(first) && isGiven(last)) throw new FormatError("ERR_REQUEST", "want first or last, not both");
  const limit = last ?? first ?? DEFAULT_PAGE;
  if (limit < 0) throw new FormatError("ERR_REQUEST", "want a page of at least 0");
  if (limit > maxPage) throw limitError(`want a page of at most ${maxPage}`);
  return {
    limit,
    direction: isGiven(last) ? "backward" : "forward",
    ...(isGiven(args.after) ? { after: parseCursor(args.after) } : {}),
    ...(isGiven(args.before) ? { before: parseCursor(args.before) } : {}),
  };
}

/** The cursor of a number. */
export function formatCursor(value: number): string {
  return formatBase64(formatUtf8(`${CURSOR_PREFIX}${value}`));
}

/** Builds a connection of nodes that are in ascending order. */
export function connectionOf<T>(
  nodes: readonly { readonly number: number; readonly node: T }[],
  page: PageRequest,
  hasMore: boolean,
  stoppedAt?: number,
): Connection<T> {
  const edges = nodes.map(({ number, node }) => ({ cursor: formatCursor(number), node }));
  const isForward = page.direction === "forward";
  const stop = stoppedAt === undefined ? null : formatCursor(stoppedAt);
  return {
    edges,
    pageInfo: {
      hasNextPage: isForward ? hasMore : page.before !== undefined,
      hasPreviousPage: isForward ? page.after !== undefined : hasMore,
      startCursor: (isForward ? null : stop) ?? edges.at(0)?.cursor ?? null,
      endCursor: (isForward ? stop : null) ?? edges.at(-1)?.cursor ?? null,
    },
  };
}

/** One page of the rows whose keys are `parts` and a number. */
export async function pageOfRows<T>(
  rows: RowReader,
  parts: readonly string[],
  page: PageRequest,
  read: (row: Row) => Promise<T>,
): Promise<Connection<T>> {
  const all = rangeUnder(...parts);
  const range = {
    after: page.after === undefined ? all.after : numberedKey(parts, page.after),
    before: page.before === undefined ? all.before : numberedKey(parts, page.before),
    reverse: page.direction === "backward",
    limit: page.limit + 1,
  };
  const found: Row[] = [];
  for await (const row of rows.range(range)) found.push(row);
  const kept = found.slice(0, page.limit);
  if (page.direction === "backward") kept.reverse();
  const nodes = await Promise.all(kept.map(async (row) => ({ number: numberOfKey(row.key), node: await read(row) })));
  return connectionOf(nodes, page, found.length > page.limit);
}

function parseCursor(text: string): number {
  try {
    const inner = parseUtf8(parseBase64(text));
    if (!inner.startsWith(CURSOR_PREFIX)) throw new FormatError("ERR_CURSOR", "another prefix");
    const value = parseDecimal(inner.slice(CURSOR_PREFIX.length));
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  } catch (error) {
    if (!isCodedError(error)) throw error;
  }
  throw new FormatError("ERR_CURSOR", "want a cursor that this node gave");
}

function isGiven<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}
