import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type BundleContent, formatBundle, MAX_BUNDLE_BYTES, parseBundle } from "../../kernel/bundle.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { parseNodeHash } from "../../kernel/merkle/hash.ts";
import { parseTimestamp } from "../../kernel/time.ts";
import { canonicalizeByPeer } from "../support/canonicalize.ts";
import { codeOf } from "../support/code-of.ts";
import { oneCharacterChanges, truncations } from "../support/each-damage.ts";
import { sampled } from "../support/sweep.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytesOf = (string: string): Uint8Array => new TextEncoder().encode(string);
const sha256 = (string: string): string => createHash("sha256").update(string).digest("hex");
const hash = (value: number): ReturnType<typeof parseNodeHash> => parseNodeHash(new Uint8Array(32).fill(value));
const hex = (digit: string): string => digit.repeat(64);
const digest = (digit: string): string => `sha256:${hex(digit)}`;

const content: BundleContent = {
  created: parseTimestamp("2026-01-02T03:04:05.678Z"),
  logs: [
    { origin: "log.example/a", checkpoint: "any text\nat all\n", entries: [{ index: 0, entry: {}, proof: [] }] },
    {
      origin: "log.example/b",
      checkpoint: "",
      entries: [
        { index: 3, entry: { kind: "x", text: "é\n\u0000", digest: hex("0") }, proof: [hash(1), hash(2)] },
        { index: 9, entry: { signatures: [{ sig: "AA==" }] }, proof: [] },
      ],
    },
  ],
  streams: [
    { stream: hex("a"), first_seq: 0, last_seq: 2 },
    { stream: hex("a"), first_seq: 3, last_seq: 3 },
    { stream: hex("b"), first_seq: 0, last_seq: 0 },
  ],
  policies: [
    {
      digest: digest("1"),
      version: "1.0",
      files: [
        { path: "a.cedar", content: "permit;\n" },
        { path: "b/c", content: "" },
      ],
    },
  ],
  catalogs: [{ digest: digest("2"), content: { created: "x", digest: "y", list: [1, null, true] } }],
};
const bytes = formatBundle(content);

/** The file with other members: canonical, and with the digest that this gives. */
function fileOf(members: JsonObject): Uint8Array {
  const { digest: _, ...body } = members;
  const withDigest = { ...body, digest: sha256(canonicalizeByPeer(body) ?? "") };
  return bytesOf(`${canonicalizeByPeer(withDigest)}\n`);
}

const members = (): JsonObject => {
  const value: unknown = JSON.parse(text(bytes));
  if (!isJsonObject(value as JsonObject)) throw new Error("an object");
  return value as JsonObject;
};
const codeWith = (change: object): string => codeOf(() => parseBundle(fileOf({ ...members(), ...change })));

describe("a bundle file", () => {
  it("survives the way through bytes, and says its own digest", () => {
    const { digest: said, computedDigest, ...parsed } = parseBundle(bytes);
    expect(parsed).toEqual(content);
    expect(said).toBe(computedDigest);
    expect(formatBundle(parsed)).toEqual(bytes);
  });

  it("has the digest of the canonical form of everything else, by another implementation", () => {
    const { digest: said, ...body } = members();
    expect(said).toBe(sha256(canonicalizeByPeer(body) ?? ""));
    expect(fileOf(members())).toEqual(bytes);
  });

  it("computes the digest from the text, wherever the word stands in the content too", () => {
    const catalogs = [{ digest: digest("2"), content: { digest: hex("0"), created: [{ digest: hex("1") }] } }];
    const made = parseBundle(formatBundle({ ...content, catalogs }));
    expect(made.computedDigest).toBe(made.digest);
  });

  it("with another digest is read, and the difference is for the verifier to judge", () => {
    const said = parseBundle(bytes).digest;
    const other = parseBundle(bytesOf(text(bytes).replace(said, hex("0"))));
    expect([other.digest, other.computedDigest]).toEqual([hex("0"), said]);
  });

  it("may be empty", () => {
    const empty: BundleContent = { ...content, logs: [], streams: [], policies: [], catalogs: [] };
    expect(parseBundle(formatBundle(empty))).toMatchObject(empty);
  });
});

describe("damage", () => {
  it("is refused, or shows in the digest: every one-character change", () => {
    for (const changed of sampled(oneCharacterChanges(text(bytes)), 5)) {
      const code = codeOf(() => {
        const { digest: said, computedDigest } = parseBundle(bytesOf(changed));
        expect(said).not.toBe(computedDigest);
      });
      if (code === "accepted") expect(changed).not.toBe(text(bytes));
    }
  });

  it("is refused: every truncation", () => {
    for (const cut of truncations(text(bytes))) expect(codeOf(() => parseBundle(bytesOf(cut)))).not.toBe("accepted");
  });

  it.each([
    ["two newlines", `${text(bytes)}\n`, "ERR_JSON_CANONICAL"],
    ["no newline", text(bytes).trimEnd(), "ERR_JSON_CANONICAL"],
    ["pretty printing", `${JSON.stringify(JSON.parse(text(bytes)), null, 2)}\n`, "ERR_JSON_CANONICAL"],
    ["a byte order mark", `\ufeff${text(bytes)}`, "ERR_JSON_SYNTAX"],
    ["no JSON", "bundle\n", "ERR_JSON_SYNTAX"],
    ["an array", "[]\n", "ERR_SHAPE"],
    [
      "a duplicate member",
      text(bytes).replace('"kind":', '"kind":"evidence-bundle","kind":'),
      "ERR_JSON_DUPLICATE_KEY",
    ],
  ])("is refused: %s", (_, changed, code) => {
    expect(codeOf(() => parseBundle(bytesOf(changed)))).toBe(code);
  });

  it("is refused: invalid UTF-8, and more bytes than a bundle may have", () => {
    expect(codeOf(() => parseBundle(Uint8Array.of(0xff, 0x0a)))).toBe("ERR_UTF8");
    expect(codeOf(() => parseBundle(new Uint8Array(MAX_BUNDLE_BYTES + 1)))).toBe("ERR_JSON_SIZE");
  });
});

describe("what a bundle may hold", () => {
  const [first, second] = content.logs;
  const json = members();
  const listOf = (name: string): readonly JsonObject[] => json[name] as readonly JsonObject[];

  it.each([
    ["another kind", { kind: "bundle" }],
    ["another version", { v: 2 }],
    ["an unknown member", { more: 1 }],
    ["hardware evidence, which version 1 does not carry", { attestation: [{}] }],
    ["openings, which version 1 does not carry", { openings: [1] }],
    ["a time that does not exist", { created: "2026-02-30T00:00:00.000Z" }],
    ["logs out of order", { logs: [listOf("logs")[1], listOf("logs")[0]] }],
    ["two checkpoints of one log", { logs: [listOf("logs")[0], listOf("logs")[0]] }],
    ["windows out of order", { streams: listOf("streams").toReversed() }],
    ["windows that overlap", { streams: [window("a", 0, 3), window("a", 3, 4)] }],
    ["a window twice", { streams: [window("a", 0, 3), window("a", 0, 3)] }],
    ["a window that ends before it begins", { streams: [window("a", 3, 2)] }],
    ["a stream that is no id", { streams: [{ ...window("a", 0, 0), stream: "A".repeat(64) }] }],
    ["policies out of order", { policies: [policy("2"), policy("1")] }],
    ["a policy twice", { policies: [policy("1"), policy("1")] }],
    ["files out of order", { policies: [{ ...policy("1"), files: [named("b"), named("a")] }] }],
    ["a path that leaves the folder", { policies: [{ ...policy("1"), files: [named("../a")] }] }],
    ["a hidden path", { policies: [{ ...policy("1"), files: [named("a/.b")] }] }],
    ["catalogs out of order", { catalogs: [catalog("2"), catalog("1")] }],
    ["entries out of order", { logs: [logWith([entry(4), entry(3)])] }],
    ["an index twice", { logs: [logWith([entry(4), entry(4)])] }],
    ["a negative index", { logs: [logWith([entry(-1)])] }],
    ["an entry that is no object", { logs: [logWith([{ ...entry(1), entry: [] }])] }],
    ["a hash of 31 bytes", { logs: [logWith([{ ...entry(1), proof: [Buffer.alloc(31).toString("base64")] }])] }],
    ["a hash with spare bits", { logs: [logWith([{ ...entry(1), proof: [`${"A".repeat(42)}B=`] }])] }],
    [
      "65 hashes",
      { logs: [logWith([{ ...entry(1), proof: Array.from({ length: 65 }, () => `${"A".repeat(43)}=`) }])] },
    ],
    ["an origin with a space", { logs: [{ ...logWith([]), origin: "log example" }] }],
  ])("not %s: ERR_SHAPE", (_, change) => {
    expect(codeWith(change)).toBe("ERR_SHAPE");
  });

  it("adjacent windows, and 64 hashes", () => {
    expect(codeWith({ streams: [window("a", 0, 3), window("a", 4, 4)] })).toBe("accepted");
    const proof = Array.from({ length: 64 }, () => `${"A".repeat(43)}=`);
    expect(codeWith({ logs: [logWith([{ ...entry(1), proof }])] })).toBe("accepted");
    expect([first?.origin, second?.entries.length]).toEqual(["log.example/a", 2]);
  });

  function window(digit: string, first_seq: number, last_seq: number): JsonObject {
    return { stream: hex(digit), first_seq, last_seq };
  }
  function policy(digit: string): JsonObject {
    return { digest: digest(digit), version: "1", files: [] };
  }
  function named(path: string): JsonObject {
    return { path, content: "" };
  }
  function catalog(digit: string): JsonObject {
    return { digest: digest(digit), content: null };
  }
  function entry(index: number): JsonObject {
    return { index, entry: {}, proof: [] };
  }
  function logWith(entries: readonly JsonObject[]): JsonObject {
    return { origin: "log.example/a", checkpoint: "", entries };
  }
});
