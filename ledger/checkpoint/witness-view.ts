/**
 * What a witness shows of the log on its monitoring path (C2SP tlog-witness): the newest checkpoint of the log that it has
 * seen. Anybody can answer 409 with a size; only a checkpoint that the log itself signed proves that there was one.
 */

import { createHash } from "node:crypto";
import { isCodedError } from "../../kernel/errors.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import { openLogCheckpoint } from "../../kernel/witness-policy.ts";
import { LEDGER_DEFAULTS } from "../config.ts";
import { makeUpstream } from "../mirror/upstream.ts";
import type { LedgerOptions } from "../options.ts";
import type { TreeHead } from "../storage/head-store.ts";
import type { WitnessClientParts } from "./witness-client.ts";

/** Of which log, and how to ask. */
export interface WitnessViewParts {
  readonly origin: string;
  readonly logKeys: readonly VerifierKey[];
  readonly fetch: typeof fetch;
  readonly timeoutMs: number;
}

/** Where a witness shows the newest checkpoint of a log, without `/checkpoint`. */
export function monitoringUrl(witnessUrl: string, origin: string): string {
  const hash = createHash("sha256").update(origin).digest("hex");
  return `${witnessUrl.replace(/\/+$/u, "")}/${hash}`;
}

/** What the witness shows of the log; undefined if it shows nothing; a reason if what it says cannot be believed. */
export async function readWitnessView(url: string, parts: WitnessViewParts): Promise<TreeHead | string | undefined> {
  const upstream = makeUpstream({
    url: monitoringUrl(url, parts.origin),
    fetch: parts.fetch,
    timeoutMs: parts.timeoutMs,
    attempts: 1,
    sleep: () => Promise.resolve(),
  });
  try {
    const note = await upstream.checkpointOrNothing();
    if (note === undefined) return undefined;
    const { checkpoint } = openLogCheckpoint(note, parts.logKeys);
    return checkpoint.origin === parts.origin ? checkpoint : "ERR_ORIGIN";
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}

/** How this log reaches its witnesses, and reads the size that one of them shows. */
export function witnessReach({
  config,
  logKeys,
  ...options
}: LedgerOptions): Pick<WitnessClientParts, "fetch" | "timeoutMs" | "readShownSize"> {
  const reach = {
    fetch: options.fetch ?? fetch,
    timeoutMs: config.witness_timeout_ms ?? LEDGER_DEFAULTS.witnessTimeoutMs,
  };
  const parts = { ...reach, origin: config.origin, logKeys: logKeys.map(({ verifierKey }) => verifierKey) };
  return {
    ...reach,
    readShownSize: async (url) => {
      const view = await readWitnessView(url, parts);
      return typeof view === "object" ? view.size : undefined;
    },
  };
}
