/**
 * The minimum index of a stored log at a running node: the object `retention`, read again and again. What was refused once is
 * refused from then on, whatever the object says or does not say later.
 */

import { errorCode } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/service/service.ts";
import type { Retention } from "../storage/retention.ts";

/** What a watch reads with. */
export interface RetentionWatchParts {
  /** @throws {StoreError} ERR_OBJECT_STORE, ERR_RETENTION */
  readonly read: () => Promise<Retention | undefined>;
  readonly logger: Logger;
}

/** The retention of one log at one node. */
export class RetentionWatch {
  readonly #parts: RetentionWatchParts;
  #newest: Retention | undefined;
  #fault: string | undefined;

  /** @param first  as it was at the start */
  constructor(parts: RetentionWatchParts, first: Retention | undefined) {
    [this.#parts, this.#newest] = [parts, first];
  }

  /** Bundles that end at or below it are refused. */
  get minimumIndex(): bigint {
    return BigInt(this.#newest?.minimum_index ?? 0);
  }

  /** The policy that it follows from; undefined while nothing was pruned. */
  get policy(): string | undefined {
    return this.#newest?.policy;
  }

  /** Takes over what is there; never rejects. A store that does not answer, or a damaged object, is said once and changes nothing. */
  async refresh(): Promise<void> {
    try {
      const read = await this.#parts.read();
      this.#fault = undefined;
      if (read !== undefined && BigInt(read.minimum_index) >= this.minimumIndex) this.#newest = read;
    } catch (error) {
      const code = errorCode(error);
      if (code !== this.#fault) this.#parts.logger.warn({ err: error, code }, "the minimum index cannot be read now");
      this.#fault = code;
    }
  }
}
