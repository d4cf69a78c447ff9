import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatBase64url } from "../../kernel/base64url.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { parseCbor } from "../../kernel/cbor/parse.ts";
import { isCborMap } from "../../kernel/cbor/value.ts";
import { checkConsistencyReceipt } from "../../kernel/cose/consistency-receipt.ts";
import { coseThumbprint, formatCoseKey, parseCoseKey, parseCoseKeySet } from "../../kernel/cose/cose-key.ts";
import { type CheckedInclusion, checkInclusionReceipt } from "../../kernel/cose/inclusion-receipt.ts";
import {
  addReceipts,
  parseStatement,
  signStatement,
  statementEntry,
  statementLeaf,
} from "../../kernel/cose/statement.ts";
import { formatHex } from "../../kernel/hex.ts";
import { checkLogProof, parseLogProof } from "../../kernel/log-proof.ts";
import { hashLeaf, parseRootHash } from "../../kernel/merkle/hash.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { createSigner, type EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import type { LedgerConfig } from "../../ledger/config.ts";
import type { ScittConfig } from "../../ledger/scitt/config.ts";
import { codeOf } from "../support/code-of.ts";
import { coseSigners, makeStatement, resignSign1, rewriteSign1, statementIssuer } from "../support/cose.ts";
import {
  eventually,
  LEDGER_KEYS,
  LEDGER_ORIGIN,
  NO_WITNESSES,
  READ,
  removeLedgers,
  startTestLedger,
  type TestLedger,
  type TestLedgerOptions,
} from "../support/ledger-service.ts";

const COSE = { "content-type": "application/cose" };
const ISSUER = "https://issuer.example";
const es256Issuer = createSigner("es256", new Uint8Array(32).fill(74));
const scittKey = coseSigners.ed25519;
const receiptKey = coseSigners.ed25519.publicKey;
const retiredKey = coseSigners.es256.publicKey;

const SCITT: ScittConfig = {
  key_file: "scitt.key",
  retired_keys: [parseCoseKey(formatCoseKey(retiredKey))],
  issuers: [
    {
      issuer: ISSUER,
      keys: [statementIssuer, es256Issuer].map(({ publicKey }) => parseCoseKey(formatCoseKey(publicKey))),
    },
  ],
  requests_per_minute: 100_000,
};

function start(config: Partial<LedgerConfig> = {}, options: TestLedgerOptions = {}): Promise<TestLedger> {
  return startTestLedger({ config: { log_kind: "receipts", scitt: SCITT, ...config }, scittKey, ...options });
}

const bytesOf = async (response: Response): Promise<Uint8Array> => new Uint8Array(await response.arrayBuffer());

/** Status, title and code of a problem, which must be one in form. */
async function problemOf(response: Response): Promise<readonly unknown[]> {
  expect(response.headers.get("content-type")).toBe("application/concise-problem-details+cbor");
  const body = parseCbor(await bytesOf(response));
  if (!isCborMap(body)) throw new Error("want a map");
  expect([...body.keys()]).toEqual([-1n, -2n]);
  return [response.status, body.get(-1n), String(body.get(-2n)).split(":")[0]];
}

/** The receipt for a statement, checked with what a verifier pins. */
async function checked(response: Response, statement: Uint8Array): Promise<CheckedInclusion> {
  expect(response.headers.get("content-type")).toBe("application/cose");
  const parsed = parseStatement(statement);
  const expected = { key: receiptKey, issuer: `https://${LEDGER_ORIGIN}`, subject: parsed.subject };
  return checkInclusionReceipt(await bytesOf(response), statementLeaf(parsed), expected);
}

const idOf = (statement: Uint8Array): string => formatHex(statementLeaf(parseStatement(statement)));

describe("SCRAPI over a log of receipts", () => {
  let ledger: TestLedger;
  beforeAll(async () => {
    ledger = await start();
  });
  afterAll(() => removeLedgers([ledger]));

  it("registers a statement: 201, its receipt, and where it stays", async () => {
    const statement = makeStatement(1);
    const response = await ledger.post("/entries", statement, COSE);
    expect([response.status, response.headers.get("location")]).toEqual([201, `entries/${idOf(statement)}`]);
    const { index, size, isSizeSigned } = await checked(response, statement);
    expect([index > 0n && index < size, isSizeSigned]).toEqual([true, true]);
    const again = await ledger.get(`/entries/${idOf(statement)}`);
    expect(again.status).toBe(200);
    expect((await checked(again, statement)).index).toBe(index);
  });

  it("gives receipts of consistency from any older tree to the newest signed one", async () => {
    const first = makeStatement(40);
    const { size: oldSize, root: oldRoot } = await checked(await ledger.post("/entries", first, COSE), first);
    for (let i = 41; i < 46; i += 1) await ledger.post("/entries", makeStatement(i), COSE);
    const expected = { key: receiptKey, issuer: `https://${LEDGER_ORIGIN}` };
    const response = await eventually(async () => {
      const answer = await ledger.get(`/consistency/${oldSize}`);
      return answer.status === 200 ? answer : undefined;
    });
    expect([response.headers.get("content-type"), response.headers.get("cache-control")]).toEqual([
      "application/cose",
      "no-store",
    ]);
    const receipt = await bytesOf(response);
    const { size, isSizeSigned } = checkConsistencyReceipt(receipt, { size: oldSize, root: oldRoot }, expected);
    expect([size > oldSize, isSizeSigned]).toEqual([true, true]);
    const other = { size: oldSize, root: parseRootHash(new Uint8Array(32)) };
    expect(codeOf(() => checkConsistencyReceipt(receipt, other, expected))).toBe("ERR_OLD_ROOT_MISMATCH");
    for (const wrong of ["0", "1000000"]) {
      const problem = await problemOf(await ledger.get(`/consistency/${wrong}`));
      expect([wrong, ...problem]).toEqual([wrong, 400, "Rejected", "ERR_SIZE_RANGE"]);
    }
    for (const wrong of ["01", "-1", "x", "1e3"]) {
      const problem = await problemOf(await ledger.get(`/consistency/${wrong}`));
      expect([wrong, ...problem]).toEqual([wrong, 400, "Malformed request", "ERR_DECIMAL"]);
    }
  });

  it("takes the same statement once, whatever its unprotected header carries", async () => {
    const statement = makeStatement(2);
    const first = await checked(await ledger.post("/entries", statement, COSE), statement);
    const response = await ledger.get(`/entries/${idOf(statement)}`);
    const transparent = addReceipts(parseStatement(statement), [await bytesOf(response)]);
    const second = await ledger.post("/entries", transparent, COSE);
    expect(second.status).toBe(201);
    expect((await checked(second, statement)).index).toBe(first.index);
  });

  it("takes ES256 statements", async () => {
    const statement = makeStatement(3, es256Issuer);
    const response = await ledger.post("/entries", statement, {
      "content-type": 'application/cose; cose-type="cose-sign1"',
    });
    expect(response.status).toBe(201);
    await checked(response, statement);
  });

  it("gives the same leaf a log proof, and readers the statement with an empty unprotected header", async () => {
    const statement = makeStatement(4);
    const noisy = rewriteSign1(statement, () => ({ unprotectedHeader: new Map([["note", 1n]]) }));
    const { index } = await checked(await ledger.post("/entries", noisy, COSE), statement);
    const policy = parseWitnessPolicy(
      `${LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}`).join("\n")}\n${NO_WITNESSES}`,
    );
    const text = await (await ledger.get(`/log-proof/${index}?wait_ms=5000`)).text();
    checkLogProof({ proof: parseLogProof(text), entry: statementEntry(parseStatement(noisy)), policy });
    const { size }: { size: number } = JSON.parse(await (await ledger.get("/metadata")).text());
    const bundle = await eventually(async () => {
      const response = await ledger.get(`/tile/entries/000.p/${size}`, READ);
      return response.status === 200 ? bytesOf(response) : undefined;
    });
    expect(parseEntryBundle(bundle, size)[Number(index)]).toEqual(statement);
  });

  it("lists its keys, and keeps the retired one resolvable", async () => {
    const response = await ledger.get("/.well-known/scitt-keys");
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/cbor"]);
    expect(parseCoseKeySet(await bytesOf(response)).map(({ key }) => key.kid)).toEqual([
      receiptKey.kid,
      retiredKey.kid,
    ]);
    for (const key of [receiptKey, retiredKey]) {
      const one = await ledger.get(`/.well-known/scitt-keys/${formatBase64url(coseThumbprint(key))}`);
      expect([one.status, one.headers.get("content-type")]).toEqual([200, "application/cbor"]);
      expect(parseCoseKey(await bytesOf(one)).key).toEqual(key);
    }
    const hex = formatHex(coseThumbprint(receiptKey));
    expect(await problemOf(await ledger.get(`/.well-known/scitt-keys/${hex}`))).toEqual([
      404,
      "No such key",
      "ERR_COSE_KEY_UNKNOWN",
    ]);
  });

  const signed = (change: object): Uint8Array =>
    signStatement({ issuer: ISSUER, subject: "s", payload: formatUtf8("x"), ...change }, statementIssuer);
  const stranger = createSigner("ed25519", new Uint8Array(32).fill(99));

  it.each<[string, Uint8Array | string, Record<string, string>, number, string, string]>([
    ["no body", "", COSE, 400, "Malformed request", "ERR_CBOR_SYNTAX"],
    ["bytes that are not CBOR", "hello", COSE, 400, "Malformed request", "ERR_CBOR_SYNTAX"],
    ["another content type", makeStatement(1), { "content-type": "application/json" }, 400, "Malformed request", "ERR_CONTENT_TYPE"],
    ["a statement without its tag", makeStatement(1).subarray(1), COSE, 400, "Malformed request", "ERR_COSE_STRUCTURE"],
    ["a detached payload", rewriteSign1(makeStatement(1), () => ({ payload: null })), COSE, 400, "Payload Missing", "ERR_COSE_PAYLOAD"],
    ["another payload", rewriteSign1(makeStatement(1), () => ({ payload: formatUtf8("x") })), COSE, 400, "Rejected", "ERR_COSE_SIGNATURE"],
    ["an unknown issuer", signed({ issuer: "https://other.example" }), COSE, 400, "Rejected", "ERR_STATEMENT_ISSUER"],
    ["an unknown key", makeStatement(1, stranger), COSE, 400, "Rejected", "ERR_STATEMENT_ISSUER"],
    ["an entry above 65,535 bytes", signed({ payload: new Uint8Array(65_500) }), COSE, 413, "Statement Too Large", "ERR_ENTRY_LENGTH"],
    ["a body above the limit", new Uint8Array(262_145), COSE, 413, "Statement Too Large", "ERR_BODY_SIZE"],
  ])("refuses %s with a problem in CBOR", async (_, body, headers, ...problem) => {
    expect(await problemOf(await ledger.post("/entries", body, headers))).toEqual(problem);
  }); // biome-ignore format: a table

  it("tries every key of the issuer that serves the algorithm where a statement has no kid", async () => {
    const without = (signer: EnvelopeSigner): Uint8Array =>
      resignSign1(makeStatement(9), formatUtf8("statement 9"), signer, (header) => {
        header.delete(4n);
        header.set(1n, signer.publicKey.alg === "es256" ? -7n : -8n);
      });
    for (const signer of [statementIssuer, es256Issuer]) {
      expect((await ledger.post("/entries", without(signer), COSE)).status).toBe(201);
    }
    const rejected = [400, "Rejected", "ERR_COSE_SIGNATURE"];
    expect(await problemOf(await ledger.post("/entries", without(stranger), COSE))).toEqual(rejected);
  });

  it("refuses an algorithm that it does not verify", async () => {
    const { protectedBytes } = parseStatement(makeStatement(1)).sign1;
    // {1: -8, ...} becomes {1: -37, ...}: PS256.
    const other = Uint8Array.of(protectedBytes[0] ?? 0, 0x01, 0x38, 0x24, ...protectedBytes.subarray(3));
    const body = rewriteSign1(makeStatement(1), () => ({ protectedBytes: other }));
    expect(await problemOf(await ledger.post("/entries", body, COSE))).toEqual([
      400,
      "Bad Signature Algorithm",
      "ERR_COSE_ALG",
    ]);
  });

  it.each([
    ["/entries/1", 400, "Invalid locator", "ERR_ENTRY_LOCATOR"],
    [`/entries/${"A".repeat(64)}`, 400, "Invalid locator", "ERR_ENTRY_LOCATOR"],
    [`/entries/${"0".repeat(64)}`, 404, "Operation Not Found", "ERR_ENTRY_UNKNOWN"],
    ["/.well-known/scitt-keys/x", 404, "No such key", "ERR_COSE_KEY_UNKNOWN"],
  ])("answers GET %s with %i %s", async (path, ...problem) => {
    expect(await problemOf(await ledger.get(path))).toEqual(problem);
  });

  it("has no receipt for an entry that is not a statement", async () => {
    const bundle = await eventually(async () => {
      const response = await ledger.get("/tile/entries/000.p/1", READ);
      return response.status === 200 ? bytesOf(response) : undefined;
    });
    const [genesis] = parseEntryBundle(bundle, 1);
    const path = `/entries/${formatHex(hashLeaf(genesis ?? new Uint8Array(0)))}`;
    expect(await problemOf(await ledger.get(path))).toEqual([404, "Operation Not Found", "ERR_ENTRY_UNKNOWN"]);
  });
});

describe("a receipt that is not ready", () => {
  it("is a 303 after POST and a 302 on itself, with Retry-After, until a checkpoint is signed", async () => {
    const ledger = await start({ checkpoint_ms: 60_000, scitt: { ...SCITT, wait_ms: 0 } });
    const statement = makeStatement(1);
    const post = await ledger.post("/entries", statement, COSE);
    expect([post.status, post.headers.get("location"), post.headers.get("retry-after")]).toEqual([
      303,
      `entries/${idOf(statement)}`,
      "1",
    ]);
    const get = await ledger.get(`/entries/${idOf(statement)}`);
    expect([get.status, get.headers.get("location"), get.headers.get("retry-after")]).toEqual([
      302,
      idOf(statement),
      "1",
    ]);
    expect((await bytesOf(get)).length).toBe(0);
    // Closing signs what is left; the next start finds statement and receipt.
    await ledger.close();
    const second = await start({}, { dataDir: ledger.dataDir });
    const found = await second.get(`/entries/${idOf(statement)}`);
    expect(found.status).toBe(200);
    await checked(found, statement);
    await removeLedgers([second]);
  });

  it("is found again when the index is rebuilt from the entries", async () => {
    const first = await start();
    const statement = makeStatement(1);
    const { index } = await checked(await first.post("/entries", statement, COSE), statement);
    await first.close();
    await rm(join(first.dataDir, "index"), { recursive: true });
    const second = await start({}, { dataDir: first.dataDir });
    expect((await checked(await second.get(`/entries/${idOf(statement)}`), statement)).index).toBe(index);
    expect((await checked(await second.post("/entries", statement, COSE), statement)).index).toBe(index);
    await removeLedgers([second]);
  });

  it("is waited for by POST, no longer than configured", async () => {
    const ledger = await start({ checkpoint_ms: 60_000, scitt: { ...SCITT, wait_ms: 20 } });
    expect((await ledger.post("/entries", makeStatement(1), COSE)).status).toBe(303);
    await removeLedgers([ledger]);
  });
});

describe("the limits of the SCITT edge", () => {
  it("counts requests per address, and lets the next one through as time passes", async () => {
    let now = 1_800_000_000_000;
    const ledger = await start({ scitt: { ...SCITT, requests_per_minute: 2 } }, { clock: { nowMs: () => now } });
    const ask = (): Promise<Response> => ledger.get("/.well-known/scitt-keys");
    expect([(await ask()).status, (await ask()).status]).toEqual([200, 200]);
    const third = await ask();
    expect(third.headers.get("retry-after")).toBe("1");
    expect(await problemOf(third)).toEqual([429, "Too Many Requests", "ERR_RATE_LIMIT"]);
    expect(await problemOf(await ledger.post("/entries", makeStatement(1), COSE))).toEqual([
      429,
      "Too Many Requests",
      "ERR_RATE_LIMIT",
    ]);
    // Other routes have limits of their own.
    expect((await ledger.get("/healthz")).status).toBe(200);
    now += 30_000;
    expect((await ask()).status).toBe(200);
    await removeLedgers([ledger]);
  });

  it("says so where a log has no SCITT edge", async () => {
    const ledger = await startTestLedger({ config: { log_kind: "receipts" } });
    const off = [404, "Not Found", "ERR_SCITT_OFF"];
    expect(await problemOf(await ledger.post("/entries", makeStatement(1), COSE))).toEqual(off);
    for (const path of [`/entries/${"0".repeat(64)}`, "/.well-known/scitt-keys", "/.well-known/scitt-keys/x"]) {
      expect(await problemOf(await ledger.get(path))).toEqual(off);
    }
    await removeLedgers([ledger]);
  });

  it("does not start on a raw log, without a key, or with a composite one", async () => {
    await expect(start({ log_kind: "raw" })).rejects.toMatchObject({ code: "ERR_CONFIG" });
    await expect(startTestLedger({ config: { log_kind: "receipts", scitt: SCITT } })).rejects.toMatchObject({
      code: "ERR_CONFIG",
    });
    const composite = createSigner("mldsa65-ed25519", new Uint8Array(64).fill(1));
    await expect(start({}, { scittKey: composite })).rejects.toMatchObject({ code: "ERR_CONFIG" });
  });
});
