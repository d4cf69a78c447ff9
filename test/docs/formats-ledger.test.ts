/** The examples of docs/formats/registration.md, segment.md and genesis.md are what the code makes and accepts. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import { makeGenesis, parseGenesis } from "../../kernel/genesis.ts";
import { parseCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import { entryAt, splitLeaves } from "../../kernel/merkle/hash.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { parseRegistration, signRegistration } from "../../kernel/registration.ts";
import { checkSegment, MAX_SEGMENT_BYTES, MAX_SEGMENT_RECEIPTS, parseSegment } from "../../kernel/segment.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { codeOf } from "../support/code-of.ts";
import { oneCharacterChanges, truncations } from "../support/each-damage.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";
import { segmentOf } from "../support/ledger-submitter.ts";
import { ORIGIN, seedOf } from "../support/log-keys.ts";
import { gatewayKeys, makeStream, STREAM_START_MS } from "../support/receipts.ts";
import { ROOT } from "../support/source-files.ts";

const keys = gatewayKeys();
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** The members in the table of a document, and those of its example. */
function expectMembers(name: string, example: string, optional: readonly string[] = []): void {
  const document = readFileSync(join(ROOT, "docs", "formats", `${name}.md`), "utf8");
  const listed = [...document.matchAll(/^\| `([a-z_]+)` \|/gmu)].map((row) => row[1] ?? "");
  const value = parseCanonical(example);
  const shown = isJsonObject(value) ? Object.keys(value) : [];
  expect([...shown, ...optional].toSorted()).toEqual(listed.toSorted());
}

describe("docs/formats/registration.md", () => {
  const example = fencedBlocks("docs/formats/registration.md")("registration");

  it("shows a registration to the byte, and lists its members", () => {
    const body = {
      kind: "registration",
      v: 1,
      origin: ORIGIN,
      evidence: { type: "software" },
      label: "example",
    } as const;
    const made = signRegistration({ ...body, time: formatTimestamp(STREAM_START_MS) }, keys.instance, keys.receipt);
    expect(text(made)).toBe(example);
    expect(parseRegistration(made).keys.instance.kid).toBe(keys.instance.publicKey.kid);
    expectMembers("registration", example);
  });
});

describe("docs/formats/segment.md", () => {
  const example = `${fencedBlocks("docs/formats/segment.md")("segment")}\n`;
  const stream = makeStream({ calls: 1, keys });
  const streamKeys = { instance: keys.instance.publicKey, receipt: keys.receipt.publicKey };

  it("shows a segment to the byte, and lists the members of its envelope", () => {
    expect(text(segmentOf(stream, 6, 8, ORIGIN))).toBe(example);
    const parsed = parseSegment(formatUtf8(example));
    expect(splitLeaves(checkSegment(parsed, streamKeys, ORIGIN)).length).toBe(2);
    expect([0, 1].map((i) => text(entryAt(parsed.entries, i)))).toEqual(
      stream.receipts.slice(6).map(({ bytes }) => text(bytes)),
    );
    expectMembers("segment", example.split("\n")[0] ?? "");
  });

  it("names the bounds that the code has", () => {
    const document = readFileSync(join(ROOT, "docs", "formats", "segment.md"), "utf8");
    expect(document).toContain(`(${MAX_SEGMENT_BYTES.toLocaleString("en-US")} bytes)`);
    expect(document).toContain(`${MAX_SEGMENT_RECEIPTS.toLocaleString("en-US")} receipts`);
  });
});

describe("docs/formats/genesis.md", () => {
  const example = fencedBlocks("docs/formats/genesis.md")("genesis");

  it("shows a genesis entry to the byte, and lists its members", () => {
    const made = makeGenesis(
      {
        kind: "log-genesis",
        v: 1,
        origin: ORIGIN,
        created: formatTimestamp(STREAM_START_MS),
        log_kind: "receipts",
        keys: [formatVerifierKey(makeLogSigner(ORIGIN, seedOf(1)).key)],
        admission: { software_evidence: "allow" },
      },
      createSigner("ed25519", seedOf(43)),
    );
    expect(text(made)).toBe(example);
    expect(parseGenesis(made).origin).toBe(ORIGIN);
    expectMembers("genesis", example, ["predecessor", "shard"]);
  });

  it("is refused with any one character changed, and cut anywhere", () => {
    for (const damaged of [...oneCharacterChanges(example, "0A"), ...truncations(example)]) {
      expect(codeOf(() => parseGenesis(formatUtf8(damaged)))).not.toBe("accepted");
    }
  });
});
