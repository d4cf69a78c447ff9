/** docs/formats/call-receipt.md and stream.md say what the code makes and accepts, member by member and byte by byte. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import { formatCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { parseReceipt, receiptHash, signReceipt } from "../../kernel/receipt/receipt.ts";
import * as vocabulary from "../../kernel/receipt/vocabulary.ts";
import { nextStreamState, type StreamState, streamTip } from "../../kernel/stream/stream-state.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";
import { fullReceiptBodies } from "../support/full-receipts.ts";
import { gatewayKeys, makeStream, receiptBodies } from "../support/receipts.ts";
import { ROOT } from "../support/source-files.ts";

const document = readFileSync(join(ROOT, "docs", "formats", "call-receipt.md"), "utf8");
const block = fencedBlocks("docs/formats/call-receipt.md");
const keys = gatewayKeys();
const signed = Object.values(receiptBodies()).map((body) => {
  return signReceipt(body, body.seq === 0 ? [keys.instance, keys.receipt] : [keys.receipt]);
});

/** The first column of the table below a heading. */
function membersOf(text: string, heading: string): readonly string[] {
  const section = text.split(/^#{2,3} /mu).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`no section ${heading}`);
  return [...section.matchAll(/^\| `([^`]+)` \|/gmu)].map((row) => row[1] ?? "");
}

/** Members that may be left out; some body of each list has them. */
const OPTIONAL: ReadonlySet<string> = new Set(["predecessor", "session_artifact"]);

const full: readonly JsonObject[] = [...Object.values(receiptBodies()), ...fullReceiptBodies()];

/** Every value at a path in the bodies of all kinds; `*` walks through a list. */
function valuesAt(...path: readonly string[]): readonly JsonObject[] {
  let values: readonly (JsonValue | undefined)[] = full;
  for (const name of path) {
    values = values.flatMap((value): readonly (JsonValue | undefined)[] => {
      if (name === "*") return Array.isArray(value) ? (value as readonly JsonValue[]) : [];
      return isJsonObject(value) ? [value[name]] : [];
    });
  }
  return values.filter((value): value is JsonObject => isJsonObject(value));
}

describe("docs/formats/call-receipt.md", () => {
  it("shows a receipt of each kind to the byte", () => {
    for (const { receipt, bytes } of signed) {
      const text = block(`receipt-${receipt.kind}`);
      expect(text).toBe(new TextDecoder().decode(bytes));
      expect(parseReceipt(formatUtf8(text))).toEqual(receipt);
    }
    expect(signed.map(({ hash }) => formatHex(hash)).join("\n")).toBe(block("receipt-hashes"));
  });

  const header = membersOf(document, "Header").filter((name) => name !== "kind" && name !== "signatures");
  it("lists the members of the header, and beside them all members of each kind", () => {
    expect(header).toEqual(["v", "stream", "seq", "prev", "time", "attestation"]);
    for (const body of full) {
      const own = Object.keys(body).filter((name) => name !== "kind" && !header.includes(name));
      const listed = membersOf(document, `\`${String(body["kind"])}\``).filter(
        (name) => !OPTIONAL.has(name) || name in body,
      );
      expect([...listed].toSorted(), String(body["kind"])).toEqual(own.toSorted());
    }
  });

  const parts: readonly (readonly [string, readonly string[]])[] = [
    ["Policy reference", ["policy"]],
    ["Policy reference", ["policy", "value"]],
    ["Catalog server", ["servers", "*"]],
    ["Commitment", ["request_received", "value"]],
    ["Principal", ["principal", "value"]],
    ["Identity", ["actor", "value"]],
    ["Delegation", ["delegation", "value"]],
    ["Hop", ["delegation", "value", "hops", "*"]],
    ["Workflow", ["workflow", "value"]],
    ["Outcome facts", ["outcome"]],
    ["Wire facts", ["wire"]],
    ["Upstream leg", ["upstream", "value"]],
    ["Server", ["server", "value"]],
    ["Definition", ["definition", "value"]],
    ["Catalog view", ["catalog", "value"]],
    ["Inspection", ["inspection", "value"]],
    ["Finding", ["inspection", "value", "findings", "*"]],
    ["Redactions", ["redactions", "value"]],
    ["Value matches", ["matches", "value"]],
    ["Taint", ["taint", "value"]],
    ["Edge", ["edges", "value", "*"]],
    ["Ruling", ["ruling"]],
    ["Ruling", ["respond", "value"]],
    ["Approval", ["approval", "value"]],
    ["Accounting", ["accounting", "value"]],
    ["Session calls", ["calls"]],
    ["Latency", ["latency", "value"]],
    ["Drift item", ["items", "*"]],
  ];
  it.each(parts)("lists the members of a part: %s at %j", (heading, path) => {
    const values = valuesAt(...path).filter((value) => !("state" in value) || heading === "Definition");
    expect(values.length).toBeGreaterThan(0);
    for (const value of values) {
      const listed = membersOf(document, heading).filter((name) => !OPTIONAL.has(name) || name in value);
      expect(Object.keys(value).toSorted()).toEqual([...listed].toSorted());
    }
  });

  it("lists the ties of both receipts of a call, and a session with and without its place", () => {
    const [decision, outcome] = [valuesAt("call")[0], valuesAt("call")[1]];
    expect(Object.keys(decision ?? {})).toEqual(membersOf(document, "Call ties"));
    expect(Object.keys(outcome ?? {})).toEqual(membersOf(document, "Outcome ties"));
    expect(Object.keys(receiptBodies()["session-open"].session)).toEqual(membersOf(document, "Session"));
    const place = valuesAt("session", "value")[0];
    expect(Object.keys(place ?? {})).toEqual([...membersOf(document, "Session"), "session_seq"]);
  });

  it("has a table for each part, and no other", () => {
    const section = document.slice(document.indexOf("## Parts"), document.indexOf("## Closed lists"));
    const headings = [...section.matchAll(/^### (.+)$/gmu)].map((match) => match[1] ?? "");
    const known = new Set([...parts.map(([heading]) => heading), "Call ties", "Outcome ties", "Session"]);
    expect(headings.toSorted()).toEqual([...known].toSorted());
  });

  it("holds the closed lists word for word, and refers to no list that it has not", () => {
    const section = document.slice(document.indexOf("## Closed lists"), document.indexOf("## Examples"));
    const rows = [...section.matchAll(/^\| `([a-z-]+)` \| (.+) \|$/gmu)].map(([, name, cell]) => {
      return [name, [...(cell ?? "").matchAll(/`([^`]+)`/gu)].map((word) => word[1])];
    });
    const lists = Object.entries(vocabulary).map(([name, list]) => [
      name.toLowerCase().replaceAll("_", "-"),
      [...list],
    ]);
    expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(lists));
    const named = [...document.matchAll(/one of `([a-z-]+)`/gu)].map((match) => match[1]);
    expect(named.length).toBeGreaterThan(30);
    for (const name of named) expect(lists.map(([list]) => list)).toContain(name);
  });
});

describe("docs/formats/stream.md", () => {
  const stream = fencedBlocks("docs/formats/stream.md");
  const made = makeStream({ calls: 1 });

  it("shows a chain in which each hash is the next receipt's prev", () => {
    const lines = made.receipts.map(({ receipt, hash }) => `${receipt.seq} ${receipt.kind} ${formatHex(hash)}`);
    expect(lines.join("\n")).toBe(stream("stream-chain"));
    const hashes = stream("stream-chain")
      .split("\n")
      .map((line) => line.split(" ")[2]);
    for (const { receipt } of made.receipts.slice(1)) expect(receipt.prev).toBe(hashes[receipt.seq - 1]);
    const shown = ["stream-open", "stream-seal", "stream-close"].map((name) => formatUtf8(stream(name)));
    expect(shown.map((bytes) => formatHex(receiptHash(bytes)))).toEqual([hashes[0], hashes.at(-2), hashes.at(-1)]);
  });

  it("shows the tip that is kept, with the members that it lists", () => {
    let state: StreamState | undefined;
    for (const { receipt, bytes } of made.receipts) state = nextStreamState(state, receipt, bytes);
    if (state === undefined) throw new Error("no receipts");
    expect(formatCanonical(streamTip(state))).toBe(stream("stream-tip"));
    const text = readFileSync(join(ROOT, "docs", "formats", "stream.md"), "utf8");
    expect(membersOf(text, "What is kept of a state")).toEqual(Object.keys(streamTip(state)));
  });

  it("names every code of the step", () => {
    const text = readFileSync(join(ROOT, "docs", "formats", "stream.md"), "utf8");
    const code = readFileSync(join(ROOT, "kernel", "stream", "stream-state.ts"), "utf8");
    const thrown = new Set([...code.matchAll(/"(ERR_[A-Z_]+)"/gu)].map((match) => match[1] ?? ""));
    expect(thrown.size).toBeGreaterThan(3);
    for (const name of thrown) expect(text).toContain(`\`${name}\``);
  });
});
