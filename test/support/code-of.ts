/** What a call did: the code of the error that it threw, or "accepted". Anything without a code is thrown on. */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { isCodedError } from "../../kernel/errors.ts";

/** Runs `action` and returns the code of the error that it threw, or "accepted". */
export function codeOf(action: () => unknown): ErrorCode | "accepted" {
  try {
    action();
    return "accepted";
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}

/** As `codeOf`, for what is promised. */
export async function codeFrom(promise: Promise<unknown>): Promise<ErrorCode | "accepted"> {
  try {
    await promise;
    return "accepted";
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}
