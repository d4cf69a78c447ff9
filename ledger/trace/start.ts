/** Builds TRACE anchoring of a running ledger from its configuration. */

import { FormatError } from "../../kernel/errors.ts";
import { makeTokenCheck } from "../http/auth.ts";
import type { Ledger } from "../ledger.ts";
import type { LedgerOptions } from "../options.ts";
import type { TraceParts } from "./routes.ts";
import { TraceDesk } from "./trace-desk.ts";

/** Checks that the configuration fits the log. @throws {FormatError} ERR_CONFIG: a raw log, or a composite key */
export function checkTraceOptions({ config }: LedgerOptions): void {
  if (config.trace === undefined) return;
  if (config.log_kind !== "receipts") throw new FormatError("ERR_CONFIG", "trace: a raw log takes no trust records");
  if (config.trace.revocation_keys.some(({ alg }) => alg === "mldsa65-ed25519")) {
    throw new FormatError("ERR_CONFIG", "trace: want revocation keys of ed25519 or es256");
  }
}

/** What the routes serve from; undefined if the configuration has no `trace`. */
export function makeTrace(options: LedgerOptions, ledger: Ledger): TraceParts | undefined {
  const { config, operatorKey: operator } = options;
  if (config.trace === undefined) return undefined;
  const { log, streams, traces: book, publisher, clock } = ledger;
  const { origin } = config;
  const revocationKeys = config.trace.revocation_keys;
  const hasEnded = (stream: string): boolean => ledger.management?.book.state.endedStreams.has(stream) === true;
  return {
    origin,
    desk: new TraceDesk({
      origin,
      ...log,
      streams,
      hasEnded,
      book,
      operator,
      revocationKeys,
      clock,
      ...(ledger.nameGuard === undefined ? {} : { guard: ledger.nameGuard }),
    }),
    book,
    tree: log.tree,
    publisher,
    checkSubmit: makeTokenCheck([options.submitToken]),
    checkReader: config.readers === "public" ? undefined : makeTokenCheck(options.readerTokens),
  };
}
