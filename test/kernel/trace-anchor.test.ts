import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { canonicalBytes, formatCanonical } from "../../kernel/json/canonical.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { asRootHash, hashLeaf, type RootHash } from "../../kernel/merkle/hash.ts";
import { proveInclusion } from "../../kernel/merkle/prove.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { parseTimestamp } from "../../kernel/time.ts";
import {
  type AnchorReceipt,
  anchorLeaf,
  anchorStatus,
  formatAnchorReceipt,
  parseAnchorReceipt,
  replayAnchor,
} from "../../kernel/trace/anchor.ts";
import { anchorBytes, coincidentBytes, formatAnchorForm, parseTraceDocument } from "../../kernel/trace/anchor-form.ts";
import { derivedName, isTransparencyUri, nameForm, nameInLog, trustRecordUri } from "../../kernel/trace/entry-name.ts";
import {
  parseNameExpiry,
  parseNameReservation,
  signNameExpiry,
  signNameReservation,
} from "../../kernel/trace/name-reservation.ts";
import {
  checkRecordSignature,
  formatJwk,
  jwkThumbprint,
  readJwk,
  readRecordKey,
} from "../../kernel/trace/record-key.ts";
import { formatRegistryEntry, readRegistryEntry } from "../../kernel/trace/registry-entry.ts";
import { checkRevocation, parseRevocation, standsAgainst } from "../../kernel/trace/revocation.ts";
import { codeOf } from "../support/code-of.ts";
import { oneCharacterChanges, truncations } from "../support/each-damage.ts";
import { makeMemoryTree } from "../support/memory-tree.ts";
import { makeRevocation, makeTrustRecord, revocationSigner, traceSigner } from "../support/trace.ts";

const record = makeTrustRecord({ subject: "spiffe://acme.example/agent/1" });
const tree = makeMemoryTree(Array.from({ length: 64 }, (_, i) => anchorLeaf({ ...record, iat: 1_700_000_000 + i })));
const rootAt = (size: number): RootHash => tree.roots[size] ?? asRootHash(anchorLeaf(record));
const recordAt = (index: number): JsonObject => ({ ...record, iat: 1_700_000_000 + index });

async function receiptOf(index: number, size: number): Promise<AnchorReceipt> {
  const path = await proveInclusion(BigInt(index), BigInt(size), tree.reader);
  return { index: BigInt(index), size: BigInt(size), path, root: rootAt(size) };
}
const textOf = (receipt: AnchorReceipt): string => JSON.stringify(formatAnchorReceipt(receipt));

describe("the anchor form", () => {
  it.each<[JsonObject, string]>([
    [{ b: 1, a: -1 }, '{"a":-1,"b":1}'],
    [{ "\u{1f600}": 1, "\ue000": 2 }, '{"\\ue000":2,"\\ud83d\\ude00":1}'],
    [{ a: '\b\f\n\r\t"\\/' }, '{"a":"\\b\\f\\n\\r\\t\\"\\\\/"}'],
    [{ a: "\u0000\u001f\u007f\u0080é" }, '{"a":"\\u0000\\u001f\\u007f\\u0080\\u00e9"}'],
    [{ a: [true, false, null, [], {}] }, '{"a":[true,false,null,[],{}]}'],
    [{ a: 9_007_199_254_740_991, b: -9_007_199_254_740_991 }, '{"a":9007199254740991,"b":-9007199254740991}'],
  ])("of a value is sorted ASCII", (value, text) => {
    expect(formatAnchorForm(value)).toBe(text);
    expect(formatAnchorForm(parseTraceDocument(text))).toBe(text);
  });

  it("has no form for other numbers", () => {
    for (const number of [0.5, 1e21, 2 ** 53, -0, Number.NaN]) {
      expect(codeOf(() => formatAnchorForm({ a: number }))).toBe("ERR_ANCHOR_FORM");
    }
  });

  it("is the RFC 8785 form exactly where the profile says so", () => {
    const plain = fc.dictionary(
      fc.string({ maxLength: 8 }).filter((name) => /^[ -~]*$/u.test(name)),
      fc.oneof(
        fc.string({ maxLength: 12 }).filter((text) => /^[ -~]*$/u.test(text)),
        fc.maxSafeInteger(),
        fc.boolean(),
      ),
    );
    fc.assert(
      fc.property(plain, (value) => {
        const object: JsonObject = JSON.parse(JSON.stringify(value));
        expect(coincidentBytes(object)).toEqual(canonicalBytes(object));
      }),
    );
    expect(codeOf(() => coincidentBytes({ a: "é" }))).toBe("ERR_ANCHOR_FORM");
    expect(codeOf(() => coincidentBytes({ a: "\u007f" }))).toBe("ERR_ANCHOR_FORM");
    expect(codeOf(() => coincidentBytes({ "\u{1f600}": 1, "\ue000": 2 }))).toBe("ERR_ANCHOR_FORM");
  });

  it.each([
    ['{"a":1.0}', "ERR_TRACE_DOCUMENT"],
    ['{"a":1e3}', "ERR_TRACE_DOCUMENT"],
    ['{"a":[0.5]}', "ERR_TRACE_DOCUMENT"],
    ['{"a":"x","b":2E0}', "ERR_TRACE_DOCUMENT"],
    ["[]", "ERR_TRACE_DOCUMENT"],
    ['{"a":9007199254740992}', "ERR_JSON_NUMBER"],
    ['{"a":100000000000000000000}', "ERR_JSON_NUMBER"],
    ['{"a":-0}', "ERR_JSON_NUMBER"],
    ['{"a":1,"a":1}', "ERR_JSON_DUPLICATE_KEY"],
    ['{"a":"\\ud800"}', "ERR_JSON_SURROGATE"],
    ['\ufeff{"a":1}', "ERR_JSON_SYNTAX"],
    ['{"a":1} x', "ERR_JSON_SYNTAX"],
    ['{"a":"1.5 and 2e3 \\" 3.5"}', "accepted"],
    ['{"a":"\\\\","b":true}', "accepted"],
  ])("is made from documents that are parsed strictly: %s", (text, code) => {
    expect(codeOf(() => parseTraceDocument(text))).toBe(code);
    expect(codeOf(() => parseTraceDocument(formatUtf8(text)))).toBe(code);
  });
});

describe("an anchor receipt", () => {
  it("replays for every index of every size up to 64, and for no other record", async () => {
    for (let size = 1; size <= 64; size += 1) {
      for (let index = 0; index < size; index += 1) {
        const text = textOf(await receiptOf(index, size));
        expect(replayAnchor(recordAt(index), text).verdict).toBe("pass");
        if (index % 7 === 0) {
          expect(replayAnchor(recordAt(index + 1), text)).toEqual({ verdict: "fail", reason: "non-reproducing" });
        }
      }
    }
  });

  it("never passes alone: it needs the witnessed head whose root it is", async () => {
    const text = textOf(await receiptOf(6, 7));
    const head = { size: 7n, root: rootAt(7) };
    expect(anchorStatus(recordAt(6), text, undefined)).toEqual({ verdict: "not_established", reason: "checkpoint" });
    expect(anchorStatus(recordAt(6), text, head)).toEqual({ verdict: "pass" });
    expect(anchorStatus(recordAt(6), text, { ...head, root: rootAt(8) })).toEqual({
      verdict: "fail",
      reason: "checkpoint",
    });
    expect(anchorStatus(recordAt(6), text, { ...head, size: 8n })).toEqual({ verdict: "fail", reason: "checkpoint" });
    expect(anchorStatus(recordAt(6), undefined, head)).toEqual({ verdict: "fail", reason: "absent" });
  });

  it("of a path and a root from two sizes does not reproduce", async () => {
    const mixed = { ...(await receiptOf(6, 7)), root: rootAt(8) };
    expect(replayAnchor(recordAt(6), textOf(mixed))).toEqual({ verdict: "fail", reason: "non-reproducing" });
  });

  it("is refused after every change of a character and every truncation", async () => {
    const text = textOf(await receiptOf(10, 14));
    const head = { size: 14n, root: rootAt(14) };
    expect(parseAnchorReceipt(text)).toEqual(await receiptOf(10, 14));
    for (const changed of oneCharacterChanges(text, '0aA"')) {
      // Space around a token is still the same JSON.
      const isSame =
        codeOf(() => parseAnchorReceipt(changed)) === "accepted" && JSON.stringify(JSON.parse(changed)) === text;
      if (!isSame) expect(anchorStatus(recordAt(10), changed, head).verdict).toBe("fail");
    }
    // The root does not fix the count: alone, the same path replays under another one.
    expect(replayAnchor(recordAt(10), text.replace('"leaf_count":14', '"leaf_count":15')).verdict).toBe("pass");
    for (const prefix of truncations(text)) {
      expect(replayAnchor(recordAt(10), prefix)).toEqual({ verdict: "fail", reason: "malformed" });
    }
  });

  it.each<[string, object]>([
    ["a negative index", { leaf_index: -1 }],
    ["an index at the count", { leaf_index: 2 }],
    ["a count of zero", { leaf_count: 0 }],
    ["an index that is a boolean", { leaf_index: true }],
    ["a count that is text", { leaf_count: "2" }],
    ["an upper-case root", { merkle_root: `sha256:${"A".repeat(64)}` }],
    ["a root with a line end", { merkle_root: `sha256:${"a".repeat(64)}\n` }],
    ["a root of another hash", { merkle_root: `sha384:${"a".repeat(96)}` }],
    ["a short sibling", { audit_path: [`sha256:${"a".repeat(63)}`] }],
    ["a path that is no array", { audit_path: "x" }],
    ["a fifth member", { more: 1 }],
    ["a member less", { leaf_count: undefined }],
  ])("with %s is malformed, which is not the same as not reproducing", async (_, change) => {
    const text = JSON.stringify({ ...formatAnchorReceipt(await receiptOf(1, 2)), ...change });
    expect(replayAnchor(recordAt(1), text)).toEqual({ verdict: "fail", reason: "malformed" });
    expect(codeOf(() => parseAnchorReceipt(text))).toBe("ERR_ANCHOR_RECEIPT");
  });
});

describe("names of entries", () => {
  it("are derived from what is signed but the name itself", () => {
    const name = derivedName(record);
    expect(nameForm(name)).toBe("derived");
    expect(derivedName({ ...record, transparency: trustRecordUri("log.example/a", name), signature: "x" })).toBe(name);
    expect(derivedName({ ...record, iat: 1 })).not.toBe(name);
  });

  it("are read from the URIs of their own log only", () => {
    expect(nameInLog("https://log.example/a/trust-records/x", "log.example/a")).toBe("x");
    expect(nameInLog("https://log.example/ab/trust-records/x", "log.example/a")).toBeUndefined();
    expect(nameInLog("http://log.example/a/trust-records/x", "log.example/a")).toBeUndefined();
    expect([
      nameForm("0".repeat(32)),
      nameForm("0".repeat(64)),
      nameForm("0".repeat(33)),
      nameForm(`${"0".repeat(32)}\n`),
    ]).toEqual(["reserved", "derived", undefined, undefined]);
  });

  it.each([
    ["https://log.example/a", true],
    ["https://log.example", true],
    ["https://user@[::1]:8443/a?b#c", true],
    ["http://log.example/a", false],
    ["https:///a", false],
    ["https://", false],
    ["https://log.example/a b", false],
    ["https://log.example/a\n", false],
    ["/a", false],
    ["", false],
    [1, false],
  ])("stand in an absolute https URI with a host: %j", (value, isUri) => {
    expect(isTransparencyUri(value)).toBe(isUri);
  });

  it("are reserved and expire by signed entries", () => {
    const [receiptKey, operator] = [
      createSigner("ed25519", new Uint8Array(32).fill(5)),
      createSigner("es256", new Uint8Array(32).fill(6)),
    ];
    const time = parseTimestamp("2026-11-26T10:00:00.000Z");
    const name = "0123456789abcdef0123456789abcdef";
    const body = {
      kind: "name-reservation",
      v: 1,
      origin: "log.example/a",
      stream: receiptKey.publicKey.kid,
      name,
      time,
      expires: time,
    } as const;
    const reservation = signNameReservation(body, receiptKey);
    expect(parseNameReservation(reservation)).toMatchObject(body);
    expect(codeOf(() => parseNameReservation(reservation.subarray(1)))).toBe("ERR_JSON_SYNTAX");
    const expiry = { kind: "name-expiry", v: 1, origin: "log.example/a", name, reserved_index: 7, time } as const;
    expect(parseNameExpiry(signNameExpiry(expiry, operator), operator.publicKey)).toMatchObject(expiry);
    expect(codeOf(() => parseNameExpiry(signNameExpiry(expiry, receiptKey), operator.publicKey))).toBe(
      "ERR_SIGNATURE_MISSING",
    );
  });
});

describe("the key of a record", () => {
  it("has the thumbprint of RFC 8037 A.3", () => {
    const key = readJwk({ kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", kid: "any" });
    expect(jwkThumbprint(key)).toBe("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
  });

  it.each<[string, JsonObject, string]>([
    ["a private member", { ...formatJwk(traceSigner.publicKey), d: "AA" }, "ERR_TRACE_DOCUMENT"],
    ["padding", { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=" }, "ERR_BASE64"],
    ["spare bits", { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp" }, "ERR_BASE64"],
    [
      "the other alphabet",
      { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
      "ERR_BASE64",
    ],
    ["another curve", { kty: "EC", crv: "P-384", x: "AA", y: "AA" }, "ERR_TRACE_DOCUMENT"],
    ["a short coordinate", { kty: "OKP", crv: "Ed25519", x: "AAAA" }, "ERR_BYTES_LENGTH"],
  ])("is refused with %s", (_, jwk, code) => {
    expect(codeOf(() => readJwk(jwk))).toBe(code);
  });

  it("signs the record without its signature, in RFC 8785 form", () => {
    checkRecordSignature(record, readRecordKey(record));
    expect(codeOf(() => checkRecordSignature({ ...record, iat: 1 }, traceSigner.publicKey))).toBe(
      "ERR_SIGNATURE_INVALID",
    );
    expect(codeOf(() => checkRecordSignature({ ...record, signature: 1 }, traceSigner.publicKey))).toBe(
      "ERR_TRACE_DOCUMENT",
    );
    expect(codeOf(() => checkRecordSignature(record, revocationSigner.publicKey))).toBe("ERR_SIGNATURE_INVALID");
  });
});

describe("a registry entry", () => {
  it("is written with five members, and read with any others beside them", () => {
    const tree7 = {
      time: parseTimestamp("2026-11-26T10:00:00.000Z"),
      origin: "log.example/a",
      size: 7n,
      root: rootAt(7),
      version: "0.1.0",
    };
    const entry = formatRegistryEntry(tree7);
    expect(entry).toMatchObject({ leaf_count: 7, producer: "countersign-gateway/0.1.0", batch_id: "log.example/a#7" });
    expect(Object.keys(entry)).toEqual(["ts", "merkle_root", "leaf_count", "producer", "batch_id"]);
    expect(readRegistryEntry({ ...entry, mmr_checkpoint: { any: 1 } }).merkle_root).toEqual(rootAt(7));
    for (const change of [
      { ts: "2026-11-26T10:00:00+01:00" },
      { leaf_count: 0 },
      { merkle_root: "x" },
      { producer: "" },
    ]) {
      expect(codeOf(() => readRegistryEntry({ ...entry, ...change }))).toBe("ERR_TRACE_DOCUMENT");
    }
  });
});

describe("revocation by log order", () => {
  const key = jwkThumbprint(traceSigner.publicKey);
  const statement = parseRevocation(canonicalBytes(makeRevocation({ last_valid_entry_id: "9" })));
  const at = (index: bigint, logId = "log.example/a"): { logId: string; index: bigint } => ({ logId, index });

  it("lets records stand up to the boundary, and none behind it", () => {
    expect([8n, 9n, 10n].map((index) => standsAgainst([statement], [key], at(index)))).toEqual([true, true, false]);
  });

  it("compares entries as integers, not as text", () => {
    expect("9" < "10").toBe(false);
    const later = { ...statement, last_valid_entry_id: "10" };
    expect([standsAgainst([later], [key], at(9n)), standsAgainst([statement], [key], at(10n))]).toEqual([true, false]);
  });

  it("covers nothing without an inclusion, in another log, or by an id of another form", () => {
    expect(standsAgainst([statement], [key], undefined)).toBe(false);
    expect(standsAgainst([statement], [key], at(1n, "other.example/a"))).toBe(false);
    expect(standsAgainst([{ ...statement, last_valid_entry_id: "009" }], [key], at(1n))).toBe(false);
    expect(standsAgainst([{ ...statement, last_valid_entry_id: "entry-9" }], [key], at(1n))).toBe(false);
  });

  it("is about the keys that it names, by thumbprint or kid, and the earliest boundary wins", () => {
    expect(standsAgainst([statement], ["another"], undefined)).toBe(true);
    expect(standsAgainst([{ ...statement, compromised_key_id: "kid-1" }], [key, "kid-1"], at(10n))).toBe(false);
    const earlier = { ...statement, last_valid_entry_id: "5" };
    expect(standsAgainst([statement, earlier], [key], at(7n))).toBe(false);
  });

  it("is refused after every change of a character and every truncation", () => {
    const text = formatCanonical(makeRevocation({}));
    const check = (changed: string): string =>
      codeOf(() => checkRevocation(parseRevocation(changed), revocationSigner.publicKey));
    expect(check(text)).toBe("accepted");
    for (const prefix of truncations(text)) expect(check(prefix)).toBe("ERR_JSON_SYNTAX");
    for (const changed of oneCharacterChanges(text, "0A")) expect(check(changed)).not.toBe("accepted");
  });

  it("is signed by a key above, which cannot be the key itself", () => {
    const check = (changed: JsonObject, by = revocationSigner): string =>
      codeOf(() => checkRevocation(parseRevocation(formatCanonical(changed)), by.publicKey));
    expect(check(makeRevocation({}))).toBe("accepted");
    expect(check(makeRevocation({}), traceSigner)).toBe("ERR_REVOCATION_KEY");
    const itself = makeRevocation({ compromised_key_id: jwkThumbprint(revocationSigner.publicKey) });
    expect(check(itself)).toBe("ERR_REVOCATION_KEY");
    expect(check({ ...makeRevocation({}), reason: "another" })).toBe("ERR_SIGNATURE_INVALID");
    expect(check({ ...makeRevocation({}), sig: { alg: "ES384", value: "AA" } })).toBe("ERR_REVOCATION_KEY");
    expect(check({ ...makeRevocation({}), more: 1 })).toBe("ERR_SHAPE");
  });
});

describe("anchor and log", () => {
  it("hash the same bytes: the entry of a record is its anchor form", () => {
    expect(anchorLeaf(record)).toEqual(hashLeaf(coincidentBytes(record)));
    expect(anchorBytes(record)).toEqual(canonicalBytes(record));
  });
});
