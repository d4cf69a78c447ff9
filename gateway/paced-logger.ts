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
/** Ids of calls that a line with a count names; of more the streams know which have no outcome. */
const MAX_CALLS = 64;
/** Fields that make two lines with one message two kinds: closed lists and names of the configuration. */
const KIND_FIELDS = ["server", "code", "reason", "fault"] as const;

type Level = "warn" | "error";

interface Kind {
  readonly level: Level;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
  /** Ids of calls that lines without a line of their own named. */
  readonly calls: unknown[];
  lines: number;
}

/** A paced log. */
export interface PacedLogger extends Logger {
  /** Says now what was counted until now: whoever ends does not come to the end of the minute. */
  readonly flush: () => void;
}

/** The log in which warnings and errors are paced; what is information is said as it comes. */
export function paceLogger(logger: Logger): PacedLogger {
  const kinds = new Map<string, Kind>();
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    const all = [...kinds.values()];
    kinds.clear();
    for (const { level, fields, message, calls, lines } of all) {
      const named = calls.length === 0 ? fields : { ...fields, calls };
      if (lines > MAX_LINES) logger[level]({ ...named, more: lines - MAX_LINES }, message);
    }
  };
  const say = (level: Level, fields: object, message: string): void => {
    // The first line of a window begins it.
    if (kinds.size === 0) timer = setTimeout(flush, WINDOW_MS).unref();
    const named = kindFields(fields);
    const full = JSON.stringify([level, message, named]);
    const isKnown = kinds.has(full) || kinds.size < MAX_KINDS;
    const key = isKnown ? full : JSON.stringify([level, message]);
    const kind = kinds.get(key) ?? { level, fields: isKnown ? named : {}, message, calls: [], lines: 0 };
    kind.lines += 1;
    kinds.set(key, kind);
    if (kind.lines <= MAX_LINES) logger[level](fields, message);
    else if ("call" in fields && kind.calls.length < MAX_CALLS) kind.calls.push(fields.call);
  };
  return {
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => say("warn", fields, message),
    error: (fields, message) => say("error", fields, message),
    flush,
  };
}

function kindFields(fields: object): Readonly<Record<string, unknown>> {
  const given = new Map<string, unknown>(Object.entries(fields));
  return Object.fromEntries(KIND_FIELDS.flatMap((name) => (given.has(name) ? [[name, given.get(name)]] : [])));
}
