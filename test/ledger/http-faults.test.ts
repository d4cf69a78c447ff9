import { describe, expect, it } from "vitest";
import { ERROR_CODES, type ErrorCode } from "../../kernel/error-codes.ts";
import { CheckError, FormatError, StoreError } from "../../kernel/errors.ts";
import { isLaterCode } from "../../kernel/service/later-codes.ts";
import { faultOf } from "../../ledger/http/errors.ts";

const CODES = Object.keys(ERROR_CODES).filter((code): code is ErrorCode => Object.hasOwn(ERROR_CODES, code));

describe("faults of the ledger", () => {
  it("say the same of asking again by their status and by their code, which stands alone on a line of a stream", () => {
    for (const code of CODES) {
      for (const error of [new StoreError(code, "x"), new FormatError(code, "x"), new CheckError(code, "x")]) {
        expect([code, [429, 503].includes(faultOf(error).status)]).toEqual([code, isLaterCode(code)]);
      }
    }
  });

  it.each(["ERR_LOG_HALTED", "ERR_DATABASE", "ERR_OBJECT_STORE", "ERR_NODE_ROLE", "ERR_QUEUE_FULL"])(
    "ask for the same again later: %s",
    (code) => expect(isLaterCode(code)).toBe(true),
  );

  it.each(["ERR_STREAM_FORK", "ERR_LOG_CLOSED", "ERR_TOKEN", "toString", ""])("do not pass: %s", (code) =>
    expect(isLaterCode(code)).toBe(false),
  );
});
