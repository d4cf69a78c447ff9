/**
 * Keys of the index. Numbers are 16 hexadecimal digits, so that the order of keys is the order of numbers; parts are
 * joined by NUL, which no part can hold.
 *
 *     m head | witnesses | genesis | alarms   state of the follower, the genesis entry, count of alarms
 *     e <index>                           bytes of an entry
 *     r <index>                           receipt row (JSON)
 *     l <leaf hash>                       index of the first entry with this leaf
 *     q <stream> <seq>                    index of a receipt
 *     f <filter> <value> <index>          secondary index, empty
 *     c <filter> <value>                  how many receipts a secondary index holds
 *     b <"d" or "m"> <time>               first and last index of the receipts of a day or minute
 *     t <level> <tile>                    hash tile, as far as it is known
 *     u <stream>                          stream row; uo <order>: its id
 *     n <session> <stream>                session row; no <index>: session and stream; nu <stream> <session>: unsealed
 *     o <stream> <decision seq>           status of the last outcome of a decision
 *     g <index>                           registration row
 *     h <index>                           an entry that was served with wrong bytes and is to be fetched again
 *     a <number>                          alarm row; ak <key>: its number
 */

const SEPARATOR = "\u0000";
/** Above every key that starts with the same parts. */
const END = "\u0001";
const DIGITS = 16;

/** The filters that have an index of their own. */
export const INDEXED_FILTERS = ["kind", "tool", "server", "session", "stream", "decision", "policy"] as const;
/** One of them. */
export type IndexedFilter = (typeof INDEXED_FILTERS)[number];

export const HEAD_KEY: string = join("m", "head");
export const WITNESSES_KEY: string = join("m", "witnesses");
export const GENESIS_KEY: string = join("m", "genesis");
export const ALARM_COUNT_KEY: string = join("m", "alarms");

export const entryKey = (index: number): string => join("e", digits(index));
export const receiptKey = (index: number): string => join("r", digits(index));
export const leafKey = (leaf: string): string => join("l", leaf);
export const seqKey = (stream: string, seq: number): string => join("q", stream, digits(seq));
export const filterKey = (filter: IndexedFilter, value: string, index: number): string =>
  join("f", filter, value, digits(index));
export const countKey = (filter: IndexedFilter | "all", value: string): string => join("c", filter, value);
export const bucketKey = (unit: "d" | "m", time: string): string => join("b", unit, time);
export const tileKey = (level: number, index: bigint): string =>
  join("t", level.toString().padStart(2, "0"), digits(index));
export const streamKey = (stream: string): string => join("u", stream);
export const streamOrderKey = (index: number): string => join("uo", digits(index));
export const sessionKey = (session: string, stream: string): string => join("n", session, stream);
export const sessionOrderKey = (index: number): string => join("no", digits(index));
export const unsealedKey = (stream: string, session: string): string => join("nu", stream, session);
export const outcomeKey = (stream: string, seq: number): string => join("o", stream, digits(seq));
export const registrationKey = (index: number): string => join("g", digits(index));
export const holeKey = (index: number): string => join("h", digits(index));
export const alarmKey = (number: number): string => join("a", digits(number));
export const alarmNameKey = (name: string): string => join("ak", name);

/** Joins the parts of a key. */
export function join(...parts: readonly string[]): string {
  return parts.join(SEPARATOR);
}

/** All keys that have `parts` as their first parts, both ends exclusive. */
export function rangeUnder(...parts: readonly string[]): { readonly after: string; readonly before: string } {
  const prefix = join(...parts);
  return { after: `${prefix}${SEPARATOR}`, before: `${prefix}${END}` };
}

/** The key with these first parts and a number behind them. */
export function numberedKey(parts: readonly string[], index: number): string {
  return join(...parts, digits(index));
}

/** The number at the end of a key. */
export function numberOfKey(key: string): number {
  return Number.parseInt(key.slice(-DIGITS), 16);
}

function digits(value: number | bigint): string {
  return value.toString(16).padStart(DIGITS, "0");
}
