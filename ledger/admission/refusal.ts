/** A refusal that tells the client more than a code: the tip of its stream, or where the other receipt is. */

import type { CheckError } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/json/value.ts";

/** Carries the coded error and the members that go into the error body beside code and message. */
export class Refusal extends Error {
  readonly error: CheckError;
  readonly details: JsonObject;

  constructor(error: CheckError, details: JsonObject) {
    super(error.message, { cause: error });
    this.name = "Refusal";
    this.error = error;
    this.details = details;
  }
}
