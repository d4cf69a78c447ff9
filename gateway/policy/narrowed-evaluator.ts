/**
 * Two evaluators of which both have to permit: the gateway's bundle, and the Cedar policies of a session artifact. What the second
 * adds can only forbid more; it asks for nothing beside allow or deny.
 */

import { deniedBy, type PolicyAnswer, type PolicyEvaluator } from "./evaluator.ts";
import { NO_OBLIGATIONS } from "./obligations.ts";

/** @param inner  of a bundle without obligations */
export function narrowedEvaluator(outer: PolicyEvaluator, inner: PolicyEvaluator): PolicyEvaluator {
  return {
    // The outer one may be replaced by another.
    get hasListing() {
      return outer.hasListing;
    },
    hasAction: (actionId) => outer.hasAction(actionId) || (isAboutResult(actionId) && inner.hasAction(actionId)),
    evaluate: (request) => {
      const { actionId } = request;
      if (!outer.hasAction(actionId)) return inner.evaluate(request);
      if (inner.hasAction(actionId)) return united(outer.evaluate(request), inner.evaluate(request));
      // Of results a bundle may be silent; of a call it never is.
      return isAboutResult(actionId) ? outer.evaluate(request) : deniedBy("policy.default-deny");
    },
  };
}

function isAboutResult(actionId: string): boolean {
  return actionId.startsWith("respond:");
}

/** The denials decide if there is one; an approval lifts the outer one alone. */
function united(outer: PolicyAnswer, inner: PolicyAnswer): PolicyAnswer {
  const answers = [outer, inner];
  const denials = answers.filter(({ allowed }) => !allowed);
  const deciding = denials.length === 0 ? answers : denials;
  const [first = outer] = deciding;
  return {
    ...first,
    policies: union(deciding.map(({ policies }) => policies)),
    erring: union(answers.map(({ erring }) => erring)),
    advisory: union(answers.map(({ advisory }) => advisory)),
    controls: union(deciding.map(({ controls }) => controls)),
    ...(denials.length === answers.length ? NO_OBLIGATIONS : {}),
  };
}

function union(lists: readonly (readonly string[])[]): readonly string[] {
  return [...new Set(lists.flat())].sort();
}
