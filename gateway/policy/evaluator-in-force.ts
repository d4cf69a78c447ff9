/** The evaluator that decides now. Another one takes its place between two decisions, never within one. */

import type { PolicyAnswer, PolicyEvaluator, PolicyRequest } from "./evaluator.ts";

/** An evaluator that can be replaced. */
export class EvaluatorInForce implements PolicyEvaluator {
  #current: PolicyEvaluator;

  constructor(first: PolicyEvaluator) {
    this.#current = first;
  }

  evaluate(request: PolicyRequest): PolicyAnswer {
    return this.#current.evaluate(request);
  }

  hasAction(actionId: string): boolean {
    return this.#current.hasAction(actionId);
  }

  get hasListing(): boolean {
    return this.#current.hasListing;
  }

  replace(next: PolicyEvaluator): void {
    this.#current = next;
  }
}
