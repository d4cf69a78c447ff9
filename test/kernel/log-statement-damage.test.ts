/** Every small damage of statements and status documents. */

import { describe, expect, it } from "vitest";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { nextLogState } from "../../kernel/lifecycle/log-state.ts";
import { checkLogStatus, formatLogStatus, parseLogStatus } from "../../kernel/lifecycle/log-status.ts";
import { parseStatement, type StatementBody } from "../../kernel/lifecycle/statement.ts";
import { parseKid } from "../../kernel/signature/public-key.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { policyText } from "../support/log-keys.ts";
import { header, rotationBody, StatedLog } from "../support/log-statements.ts";

const predecessor = (index: number): StatementBody => ({
  ...header(index),
  kind: "log-predecessor",
  predecessor: { origin: "log.example/a", size: 7, root: "cd".repeat(32) },
});
const EACH: readonly (readonly [string, (index: number) => StatementBody])[] = [
  ["log-key-rotation", (index) => rotationBody(index, 0, 1)],
  ["log-key-retirement", (index) => ({ ...header(index), kind: "log-key-retirement", rotation_index: index - 1 })],
  ["log-predecessor", predecessor],
  [
    "registration-end",
    (index) => ({ ...header(index), kind: "registration-end", stream: parseKid("ab".repeat(32)), reason: "retired" }),
  ],
  [
    "log-closing",
    (index) => ({
      ...header(index),
      kind: "log-closing",
      end: "frozen",
      reason: "over",
      final_size: index + 1,
      successor: { origin: "log.example/b" },
    }),
  ],
];

/** Every place but those inside the ML-DSA-44 keys and signatures, which are base64 of no structure: of those one in seven. */
function places(length: number): readonly number[] {
  const all = Array.from({ length }, (_, at) => at);
  return all.filter((at) => at < 800 || at > length - 1200 || at % 7 === 0);
}

/** True unless it is refused with a code. */
function takes(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (isCodedError(error)) return false;
    throw error;
  }
}

describe("each statement", () => {
  it.each(EACH)("%s is refused with any one byte changed, and cut anywhere", (kind, make) => {
    const log = new StatedLog();
    if (kind === "log-key-retirement") log.declare((index) => rotationBody(index, 0, 1));
    const bytes = log.sign(make(log.next));
    const holds = (changed: Uint8Array): boolean =>
      takes(() => nextLogState(log.state, parseStatement(changed), log.next));
    const taken: number[] = [];
    for (const at of places(bytes.length)) {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      if (holds(changed)) taken.push(at);
    }
    for (const at of places(bytes.length)) if (holds(bytes.subarray(0, at))) taken.push(at);
    expect([taken, holds(bytes)]).toEqual([[], true]);
  });
});

describe("a status document", () => {
  it("is refused with any one character changed, and cut anywhere", async () => {
    const log = new StatedLog().fill(1).declare(predecessor);
    const policy = parseWitnessPolicy(policyText(2));
    const text = parseUtf8(formatLogStatus(await log.document(log.note([0]))));
    const holds = (changed: string): boolean =>
      takes(() => checkLogStatus(parseLogStatus(formatUtf8(changed)), policy));
    const isUnlooked = unlooked(text);
    const taken: number[] = [];
    for (const at of places(text.length)) {
      if (isUnlooked(at)) continue;
      const changed = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1);
      if (holds(changed)) taken.push(at);
    }
    for (const at of places(text.length)) if (holds(text.slice(0, at))) taken.push(at);
    expect([taken, holds(text)]).toEqual([[], true]);
  });
});

/** True for characters of the log's ML-DSA-44 line, whose key the policy does not name: it is not looked at. */
function unlooked(text: string): (at: number) => boolean {
  const note = text.indexOf('"checkpoint":');
  const second = text.indexOf("\\n— ", text.indexOf("\\n— ", note) + 1);
  const third = text.indexOf("\\n— ", second + 1);
  return (at) => at > second && at < third;
}
