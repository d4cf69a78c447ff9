/**
 * Which policies of a bundle an action is decided by, and whether it is decided at all. Calls always are. What was not asked about
 * in older bundles is, only if a policy names it: results, listings and what they offer, methods of extensions.
 */

import { FormatError } from "../../kernel/errors.ts";
import type { BundlePolicy, PolicyBundle } from "./bundle.ts";
import { scopeEntities } from "./cedar.ts";
import { groupsOf, type PolicyAction } from "./cedar-schema.ts";
import type { WantedContext } from "./context-use.ts";

/** True unless the scope of the policy excludes the action, or the action is one that has to be named. */
export function canMatch({ json: { action: scope }, notes }: BundlePolicy, action: PolicyAction): boolean {
  const { group, id } = action;
  if (scope.op === "All") return group === "extension" ? notes.effect === "forbid" : !isListing(action);
  const own = new Set([id, ...groupsOf(action)]);
  const isPermit = notes.effect === "permit";
  // A permit for the calls of a server is none for methods that nobody knew when it was written.
  if (group === "extension" && isPermit) return scopeEntities(scope).some((one) => one.id === id || one.id === group);
  return scopeEntities(scope).some((one) => own.has(one.id));
}

/** True if policy is asked about the action. @param isDeciding  advisory policies do not count */
export function isSpokenOf(bundle: PolicyBundle, action: PolicyAction, isDeciding = false): boolean {
  const policies = [...bundle.policies.values()].filter(({ notes }) => !(isDeciding && notes.advisory));
  switch (action.group) {
    case "respond":
    case "offer":
      return policies.some((policy) => policy.json.action.op !== "All" && canMatch(policy, action));
    case "list":
      return policies.some((policy) => canMatch(policy, action) || namesOffer(policy));
    case "extension":
      return policies.some((policy) => policy.notes.effect === "permit" && canMatch(policy, action));
    case "call_tool":
    case "get_prompt":
    case "read_resource":
    case "complete":
    case "subscribe":
    case "task":
    case "sample":
    case "elicit":
    case "roots":
      return true;
  }
}

function namesOffer({ json: { action: scope } }: BundlePolicy): boolean {
  return scope.op !== "All" && scopeEntities(scope).some(({ id }) => id === "offer" || id.startsWith("offer:"));
}

/** True for listings and what they offer: nothing has to permit them, and a forbid hides. */
export function isListing({ group }: Pick<PolicyAction, "group">): boolean {
  return group === "list" || group === "offer";
}

/** Members of `context.system` that an offer may depend on: those that hold for a caller as long as policy and catalog do. */
const OFFER_SYSTEM: ReadonlySet<string> = new Set([
  "mode",
  "workflow",
  "actor",
  "actors",
  "subject",
  "era",
  "catalog",
  "toolModel",
  "definition",
  "domain",
  "sensitivity",
]);

/**
 * Checks the policies about a listing: a permit would look like a control and be none, and an offer that depends on the session or
 * the time would be another one before it is used.
 *
 * @throws {FormatError} ERR_POLICY_BUNDLE
 */
export function checkListing(action: PolicyAction, policies: readonly BundlePolicy[], use: WantedContext): void {
  const permit = policies.find(({ notes }) => notes.effect === "permit");
  if (permit !== undefined) {
    throw refused(`policy "${permit.notes.id}" permits ${action.id}: what is listed needs no permit, write a forbid`);
  }
  if (action.group !== "offer" || policies.length === 0) return;
  const system = use === "whole" ? "all" : use.get("system");
  const isFixed =
    use !== "whole" &&
    !use.has("session") &&
    !use.has("output") &&
    (system === undefined || (system !== "all" && [...system].every((name) => OFFER_SYSTEM.has(name))));
  if (isFixed) return;
  throw refused(
    `a policy reads of the context at ${action.id} what an offer must not depend on; it may read context.input and of ` +
      `context.system ${[...OFFER_SYSTEM].join(", ")}`,
  );
}

function refused(why: string): FormatError {
  return new FormatError("ERR_POLICY_BUNDLE", why);
}
