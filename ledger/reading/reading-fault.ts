/** What is wrong with a submission, as it goes from a reading thread to the one that serves. */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { BugError, CheckError, FormatError, isCodedError } from "../../kernel/errors.ts";

/** What is wrong with a submission. */
export interface ReadingFault {
  readonly type: "format" | "check" | "bug";
  readonly code: ErrorCode;
  readonly message: string;
}

/** What came of reading something. */
export type Attempt<T> = { readonly value: T } | { readonly fault: ReadingFault };

/** The fault as it was thrown in the thread. */
export function errorOf({ type, code, message }: ReadingFault): Error {
  if (type === "bug") return new BugError(message);
  return type === "format" ? new FormatError(code, message) : new CheckError(code, message);
}

/** Nothing that is submitted may end the thread. */
export function attempt<T>(read: () => T): Attempt<T> {
  try {
    return { value: read() };
  } catch (error) {
    const { message } = error instanceof Error ? error : { message: "not an error" };
    if (!isCodedError(error)) return { fault: { type: "bug", code: "ERR_BUG", message } };
    const { code } = error;
    if (error instanceof FormatError) return { fault: { type: "format", code, message } };
    return { fault: { type: error instanceof CheckError ? "check" : "bug", code, message } };
  }
}
