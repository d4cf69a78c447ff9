/**
 * The sealed artifact that binds a run now, and whether the run may serve: not after its end, and not once something that
 * it names was measured to be something else. That state is safe: every call is denied in every mode.
 */

import type { SealedArtifact } from "../../kernel/policy-artifact.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { isOver } from "./artifact-check.ts";

/** The artifact in force; a gateway that has none configured is never halted. */
export class ArtifactInForce {
  #sealed: SealedArtifact | undefined;
  #isOther = false;
  readonly #nowMs: () => number;

  constructor(sealed: SealedArtifact | undefined, nowMs: () => number) {
    this.#sealed = sealed;
    this.#nowMs = nowMs;
  }

  current(): SealedArtifact | undefined {
    return this.#sealed;
  }

  /** A newer one, against which everything was measured just now. */
  replace(next: SealedArtifact): void {
    this.#sealed = next;
    this.#isOther = false;
  }

  /** What was measured differs. Only a newer artifact, or a start, ends this. */
  halt(): void {
    this.#isOther = true;
  }

  /** Why nothing is served; undefined if calls are. */
  halted(): ReasonCode | undefined {
    if (this.#isOther) return "measurement.mismatch";
    if (this.#sealed !== undefined && isOver(this.#sealed.artifact, this.#nowMs())) return "policy.expired";
    return undefined;
  }
}
