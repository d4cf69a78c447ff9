/**
 * `route.mediation`: do agents reach the servers through the gateway alone? No receipt can say it, and what does not answer at one
 * place may answer at another, so it never passes. A test of routes says more exactly why not.
 */

import { observedValue } from "../kernel/receipt/observed.ts";
import type { ReceiptOf } from "../kernel/receipt/receipt.ts";
import type { RouteState, RouteTest } from "../kernel/route-test.ts";
import { type Doubt, doubt } from "./verdict.ts";
import type { VerdictReason } from "./verdict-reasons.ts";

/** What one state of a route comes to, the plainest first. */
const WORDS: readonly (readonly [RouteState, VerdictReason, string])[] = [
  ["answered", "route.direct", "answered without the gateway"],
  ["refused", "route.credential", "asked for a credential, without the gateway"],
  ["silent", "route.vantage", "did not answer without the gateway"],
];

/** @param tests  what was handed in about any gateway */
export function judgeMediation(decisions: readonly ReceiptOf<"decision">[], tests: readonly RouteTest[]): Doubt {
  const boundaries = new Set(decisions.flatMap(({ boundary }) => observedValue(boundary) ?? []));
  if (boundaries.size === 0) return doubt("decisions.none", "bundle", "no decision says which servers it is about");
  const [first] = tests;
  if (first === undefined) return doubt("route.untested", "bundle", "no test of routes was handed in");
  const own = tests.filter(({ boundary }) => boundaries.has(boundary));
  for (const [state, reason, words] of WORDS) {
    const found = own.flatMap(({ routes, ...test }) =>
      routes.filter((route) => route.state === state).map(({ server }) => ({ ...test, server })),
    );
    const [one] = found;
    if (one === undefined) continue;
    const { server, from, time, boundary } = one;
    return { ...doubt(reason, boundary, `${server} ${words}, from "${from}", at ${time}`), count: found.length };
  }
  if (own.length > 0) return doubt("route.untested", "bundle", "no server was asked without the gateway");
  return doubt("route.other-gateway", first.boundary, "no decision names the statement that the test is about");
}
