/** The examples of docs/formats/fork-evidence.md are what the code makes and accepts. */

import { describe, expect, test } from "vitest";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { checkLogFork, formatLogFork } from "../../kernel/checkpoint/fork-evidence.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { signRegistration } from "../../kernel/registration.ts";
import { signEnvelope } from "../../kernel/signature/envelope.ts";
import { checkStreamForkFile, formatStreamFork } from "../../kernel/stream/fork-evidence.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";
import { makeStream } from "../support/receipts.ts";
import { makeSmallLog } from "../support/small-log.ts";

const block = fencedBlocks("docs/formats/fork-evidence.md");
const ORIGIN = "log.example/test";

describe("docs/formats/fork-evidence.md", () => {
  test("shows a fork of a log", () => {
    const first = makeSmallLog(ORIGIN, 1, 2);
    const second = makeSmallLog(ORIGIN, 1, 2, (i) => `forked ${i}`);
    const bytes = formatLogFork({ first: first.checkpoint(2), second: second.checkpoint(2) });
    expect(parseUtf8(bytes)).toBe(block("log-fork"));
    expect(checkLogFork(formatUtf8(block("log-fork")), [first.key]).origin).toBe(ORIGIN);
  });

  test("shows a fork of a stream", () => {
    const { keys, stream, receipts } = makeStream();
    const [logged] = receipts.slice(3);
    if (logged === undefined) throw new Error("the stream is too short");
    const time = formatTimestamp(1_700_000_000_000);
    const registration = signRegistration(
      { kind: "registration", v: 1, origin: ORIGIN, evidence: { type: "software" }, time },
      keys.instance,
      keys.receipt,
    );
    const other = signEnvelope({ ...logged.receipt, time: formatTimestamp(1_700_000_999_000) }, [keys.receipt]);
    const bytes = formatStreamFork({ registration, logged: logged.bytes, refused: canonicalBytes(other) });
    expect(parseUtf8(bytes)).toBe(block("stream-fork"));
    expect(checkStreamForkFile(formatUtf8(block("stream-fork")))).toEqual({ stream, seq: 3 });
  });
});
