/** What resolvers have in common: the request's context, names of the schema, and how a ledger is found. */

import { CheckError, FormatError } from "../../kernel/errors.ts";
import type { Clock } from "../../kernel/service/service.ts";
import type { FollowedLedger } from "../follow/open-ledger.ts";
import type { Limits } from "./limits.ts";

/** What a resolver is given besides its arguments. */
export interface RequestContext {
  /** @throws {GraphQLError} ERR_GRAPHQL_LIMIT when the request has taken too long */
  readonly checkTime: () => void;
  /** Counts what the answer will hold. @throws {GraphQLError} ERR_GRAPHQL_LIMIT when that is too much */
  readonly takeText: (length: number) => void;
}

/** What all resolvers work with. */
export interface Desk {
  readonly ledgers: readonly FollowedLedger[];
  readonly clock: Clock;
  readonly limits: Limits;
  readonly version: string;
  readonly started: string;
}

/** The argument that names a ledger. */
export interface LedgerArgument {
  readonly ledger?: string | null;
}

/** The ledger of a request; the first one if none is named. @throws {CheckError} ERR_NOT_FOUND */
export function ledgerOf(desk: Desk, { ledger }: LedgerArgument): FollowedLedger {
  const name = ledger ?? desk.ledgers[0]?.name;
  const found = desk.ledgers.find((each) => each.name === name);
  if (found === undefined) throw new CheckError("ERR_NOT_FOUND", "ledger: this node follows no ledger of this name");
  return found;
}

/** A word of ours as the schema's enums spell it: `stream-open` is STREAM_OPEN. */
export function enumName(word: string): string {
  return word.toUpperCase().replaceAll("-", "_");
}

/** The inverse of `enumName`. */
export function wordOf(name: string): string {
  return name.toLowerCase().replaceAll("_", "-");
}

/** A Count argument. @throws {FormatError} ERR_REQUEST */
export function countArgument(name: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new FormatError("ERR_REQUEST", `${name}: want a whole number from 0 to 2^53 - 1`);
}

/** A time of this node's clock, or null. */
export function timeOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
