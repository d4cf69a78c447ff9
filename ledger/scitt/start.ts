/** Builds the SCITT edge of a running ledger from its configuration. */

import { FormatError } from "../../kernel/errors.ts";
import { AddressLimit } from "../http/address-limit.ts";
import type { Ledger } from "../ledger.ts";
import type { LedgerOptions } from "../options.ts";
import { SCITT_DEFAULTS } from "./config.ts";
import { ReceiptDesk } from "./receipt-desk.ts";
import { makeRegistrationPolicy } from "./registration-policy.ts";
import type { ScittParts } from "./routes.ts";

/**
 * Checks that the configured SCITT edge fits the log; before anything of the log is opened.
 *
 * @throws {FormatError} ERR_CONFIG: a raw log, no key, or a composite one
 */
export function checkScittOptions({ config, scittKey }: LedgerOptions): void {
  if (config.scitt === undefined) return;
  if (config.log_kind !== "receipts") throw refuse("a raw log takes no statements");
  if (scittKey === undefined || scittKey.publicKey.alg === "mldsa65-ed25519")
    throw refuse("want a key of ed25519 or es256");
}

/** What the routes serve from; undefined if the configuration has no SCITT edge. */
export function makeScitt(options: LedgerOptions, ledger: Ledger): ScittParts | undefined {
  const { config, scittKey: signer } = options;
  const { scitt } = config;
  if (scitt === undefined || signer === undefined) return undefined;
  const { log, proofs, checkpointer } = ledger;
  const nowMs = options.clock?.nowMs ?? (() => performance.now());
  const retired = (scitt.retired_keys ?? []).map(({ key }) => key).filter(({ kid }) => kid !== signer.publicKey.kid);
  return {
    desk: new ReceiptDesk({ origin: config.origin, ...log, proofs, checkpointer, signer }),
    policy: makeRegistrationPolicy(scitt.issuers),
    keys: [signer.publicKey, ...retired],
    limit: new AddressLimit(scitt.requests_per_minute ?? SCITT_DEFAULTS.requestsPerMinute, nowMs),
    waitMs: scitt.wait_ms ?? SCITT_DEFAULTS.waitMs,
  };
}

function refuse(why: string): FormatError {
  return new FormatError("ERR_CONFIG", `scitt: ${why}`);
}
