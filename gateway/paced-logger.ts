/**
 * A log that servers and agents cannot fill. What they do wrong is said in a line each, until the same line comes too often: then
 * it is counted, and the count is said when the minute is over. Receipts, where a line has one, are their own affair.
 */

import type { Logger } from "../kernel/service/service.ts";

/** Lines of one kind in one minute, before they are counted. */
const MAX_LINES = 8;
const WINDOW_MS = 60_000;
/** Kinds that are told apart in one minute; above it the message alone tells them apart, and its texts are the gateway's own. */
const MAX_KINDS = 1_024;
/** Fields that make two lines with one message two kinds: closed lists and names of the configuration. */
const KIND_FIELDS = ["server", "code", "reason", "fault"] as const;

type Level = "warn" | "error";

interface Kind {
  readonly level: Level;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
  lines: number;
}

/** The log in which warnings and errors are paced; what is information is said as it comes. */
export function paceLogger(logger: Logger): Logger {
  const kinds = new Map<string, Kind>();
  const end = (): void => {
    const all = [...kinds.values()];
    kinds.clear();
    for (const { level, fields, message, lines } of all) {
      if (lines > MAX_LINES) logger[level]({ ...fields, more: lines - MAX_LINES }, message);
    }
  };
  const say = (level: Level, fields: object, message: string): void => {
    // The first line of a window begins it.
    if (kinds.size === 0) setTimeout(end, WINDOW_MS).unref();
    const named = kindFields(fields);
    const full = JSON.stringify([level, message, named]);
    const isKnown = kinds.has(full) || kinds.size < MAX_KINDS;
    const key = isKnown ? full : JSON.stringify([level, message]);
    const kind = kinds.get(key) ?? { level, fields: isKnown ? named : {}, message, lines: 0 };
    kind.lines += 1;
    kinds.set(key, kind);
    if (kind.lines <= MAX_LINES) logger[level](fields, message);
  };
  return {
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => say("warn", fields, message),
    error: (fields, message) => say("error", fields, message),
  };
}

function kindFields(fields: object): Readonly<Record<string, unknown>> {
  const given = new Map<string, unknown>(Object.entries(fields));
  return Object.fromEntries(KIND_FIELDS.flatMap((name) => (given.has(name) ? [[name, given.get(name)]] : [])));
}
