/** The example of docs/formats/promise.md is what the code makes and accepts; its bounds and members are the code's. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { checkLeafPromise, formatLeafPromise, MAX_PROMISE_LEAVES, parseLeafPromise } from "../../kernel/promise.ts";
import { LEDGER_DEFAULTS } from "../../ledger/config.ts";
import { PROMISE_HEADER } from "../../ledger/promise/asked.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";
import { ORIGIN, seedOf } from "../support/log-keys.ts";
import { leavesOf, promiseOf } from "../support/promises.ts";
import { ROOT } from "../support/source-files.ts";

const document = readFileSync(join(ROOT, "docs", "formats", "promise.md"), "utf8");
const example = fencedBlocks("docs/formats/promise.md")("promise");

describe("docs/formats/promise.md", () => {
  it("shows a promise to the byte, and one that holds", () => {
    const made = formatLeafPromise(promiseOf(leavesOf(8), [5, 8], 6));
    expect(new TextDecoder().decode(made)).toBe(example);
    const promise = parseLeafPromise(formatUtf8(example));
    checkLeafPromise(promise, hashLeaf(formatUtf8("entry 6")), [makeLogSigner(ORIGIN, seedOf(1)).key]);
  });

  it("lists its members, and those of the envelope", () => {
    const promise = parseLeafPromise(formatUtf8(example));
    const listed = [...document.matchAll(/^\| `([a-z_]+)` \|/gmu)].map((row) => row[1] ?? "");
    expect(listed).toEqual([...Object.keys(promise), ...Object.keys(promise.promise)]);
  });

  it("names the bounds, the header and the delay that the code has", () => {
    expect(document).toContain(`1 to ${MAX_PROMISE_LEAVES.toLocaleString("en-US")}`);
    expect(document.toLowerCase()).toContain(PROMISE_HEADER);
    expect([LEDGER_DEFAULTS.promiseSeconds, document.includes("default an hour")]).toEqual([3600, true]);
  });
});
