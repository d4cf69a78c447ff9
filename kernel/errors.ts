/**
 * The error classes of Countersign and their codes (docs/errors.md).
 *
 * `FormatError`: malformed input. `CheckError`: well-formed and false. `StoreError`: the world failed.
 * `BugError`: our own fault. Messages name field, want and got; never a secret, never a whole input.
 */

import type { ErrorCode } from "./error-codes.ts";

/** What every error of Countersign carries: one code of the closed union. */
abstract class CodedError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }
}

/** Malformed input: it cannot be read as what it claims to be. */
export class FormatError extends CodedError {}

/** Well-formed input that is false: a signature, a proof, a link, a bound does not hold. */
export class CheckError extends CodedError {}

/** The world failed: disk, socket, peer. `fatal` means that the state on disk is unknown and only recovery may decide. */
export class StoreError extends CodedError {
  readonly fatal: boolean;

  constructor(code: ErrorCode, message: string, options: ErrorOptions & { readonly fatal?: boolean } = {}) {
    super(code, message, options);
    this.fatal = options.fatal ?? false;
  }
}

/** A broken invariant of our own code: crash and report. */
export class BugError extends CodedError {
  constructor(message: string) {
    super("ERR_BUG", message);
  }
}

/**
 * Asserts what our own code guarantees; never used on input.
 *
 * @throws {BugError} ERR_BUG when `condition` does not hold
 */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new BugError(message);
}

/** True for the errors that carry a code of the closed union. */
export function isCodedError(error: unknown): error is FormatError | CheckError | StoreError | BugError {
  return error instanceof CodedError;
}

/** The code of an error, as logs and receipts tell it; one that carries none is our own fault. */
export function errorCode(error: unknown): ErrorCode {
  return isCodedError(error) ? error.code : "ERR_BUG";
}
