/** GET /findings: which logged receipts are false, and the signed segments that brought them. */

import { parseDecimal } from "../../kernel/decimal.ts";
import { FormatError } from "../../kernel/errors.ts";
import type { FindingsBook } from "../checks/findings.ts";
import type { LedgerStatus } from "./operations-routes.ts";
import type { Routes } from "./server.ts";

/** Findings of one answer. */
const MAX_FINDINGS = 256;

/** The route; a raw log has no findings. */
export function findingRoutes(findings: FindingsBook | undefined, status: () => LedgerStatus): Routes {
  return (scope) => {
    scope.get("/findings", async (request, reply) => {
      const from = parseFrom(request.query);
      // Read first: what is below it and not in the list is no finding.
      const { checked_size } = status();
      const list = (await findings?.list(from, MAX_FINDINGS)) ?? [];
      const last = list.at(-1);
      const next = list.length === MAX_FINDINGS && last !== undefined ? { next: last.index + 1 } : {};
      reply.header("cache-control", "no-store");
      return { checked_size, count: findings?.count ?? 0, findings: list, ...next };
    });
  };
}

function parseFrom(query: unknown): bigint {
  const entries = Object.entries(typeof query === "object" && query !== null ? query : {});
  if (entries.length === 0) return 0n;
  const [[name, value] = []] = entries;
  if (entries.length > 1 || name !== "from" || typeof value !== "string") {
    throw new FormatError("ERR_REQUEST", "want no query or from=<index>");
  }
  return parseDecimal(value);
}
