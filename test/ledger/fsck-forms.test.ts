import { rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatCoseKey, parseCoseKey } from "../../kernel/cose/cose-key.ts";
import { parseStatement, statementEntry } from "../../kernel/cose/statement.ts";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { formatEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { derivedName, trustRecordUri } from "../../kernel/trace/entry-name.ts";
import { signNameExpiry, signNameReservation } from "../../kernel/trace/name-reservation.ts";
import { exportLog, openFolderSource } from "../../ledger/archive/export-log.ts";
import { backUp } from "../../ledger/backup/backup.ts";
import { EntryChecker, type EntryVerdict } from "../../ledger/fsck/entry-check.ts";
import { checkDataFolder } from "../../ledger/fsck/fsck.ts";
import { rebuildIndex } from "../../ledger/recovery/rebuild-index.ts";
import { openLevelIndex } from "../../ledger/sequence/level-index.ts";
import { coseSigners, makeStatement, statementIssuer } from "../support/cose.ts";
import { copyFolder, makeFolder, removeFolder } from "../support/data-folder.ts";
import { eventually, LEDGER_ORIGIN, SUBMIT, startTestLedger, type TestLedger } from "../support/ledger-service.ts";
import { makeReceiptStream } from "../support/receipt-stream.ts";
import { makeNamedRecord, makeRevocation, makeTrustRecord, revocationSigner } from "../support/trace.ts";

const START_MS = 1_790_000_000_000;
const clock = { ms: START_MS };
const stream = makeReceiptStream(LEDGER_ORIGIN);
const operator = createSigner("ed25519", new Uint8Array(32).fill(43));
const JSON_TYPE = { ...SUBMIT, "content-type": "application/json" };
const names = ["1".padStart(32, "0"), "2".padStart(32, "0")] as const;

const reservation = (name: string, origin = LEDGER_ORIGIN, signer = stream.receipt): Uint8Array =>
  signNameReservation(
    {
      kind: "name-reservation",
      v: 1,
      origin,
      stream: stream.instance.publicKey.kid,
      name,
      time: formatTimestamp(START_MS),
      expires: formatTimestamp(START_MS + 60_000),
    },
    signer,
  );
const expiryBody = { kind: "name-expiry", v: 1, origin: LEDGER_ORIGIN, name: names[1], reserved_index: 5 } as const;
const expiry = (signer = operator): Uint8Array =>
  signNameExpiry({ ...expiryBody, time: formatTimestamp(START_MS) }, signer);
const recordCalled = (name: string, iat: number): JsonObject =>
  makeTrustRecord({ iat, transparency: trustRecordUri(LEDGER_ORIGIN, name) }, stream.instance);
const quoting = canonicalBytes(makeTrustRecord({ quoted: { kind: "registration" } }));
const revocation = makeRevocation({ log_id: LEDGER_ORIGIN });

const folders: string[] = [];
let dataDir = "";

async function fill(ledger: TestLedger): Promise<void> {
  const post = async (path: string, body: Uint8Array | JsonObject, headers = JSON_TYPE): Promise<void> => {
    const answer = await ledger.post(path, body instanceof Uint8Array ? body : canonicalBytes(body), headers);
    expect([path, answer.status < 300 ? "taken" : await answer.text()]).toEqual([path, "taken"]);
  };
  await post("/register", stream.registration);
  await post("/segments", stream.nextSegment(5), { ...SUBMIT, "content-type": "application/x-ndjson" });
  await post("/entries", makeStatement(1), { ...SUBMIT, "content-type": "application/cose" });
  await post("/trust-records", makeNamedRecord(LEDGER_ORIGIN, { iat: 1 }, stream.instance));
  await post("/trust-records", quoting);
  await post("/trust-record-names", reservation(names[0]));
  await post("/trust-record-names", reservation(names[1]));
  await post("/receipts", stream.next(1)[0] ?? new Uint8Array(0));
  await post("/trust-records", recordCalled(names[0], 2));
  const rival = await ledger.post("/trust-records", canonicalBytes(recordCalled(names[0], 3)), JSON_TYPE);
  expect(rival.status).toBe(409);
  await post("/revocations", revocation);
  clock.ms += 120_000;
  await ledger.get(`/trust-records/${names[1]}`);
  await post("/segments", stream.nextSegment(3), { ...SUBMIT, "content-type": "application/x-ndjson" });
  await eventually(async () =>
    (await (await ledger.get("/checkpoint")).text()).includes("\n19\n") ? true : undefined,
  );
}

beforeAll(async () => {
  const issuers = [
    { issuer: "https://issuer.example", keys: [parseCoseKey(formatCoseKey(statementIssuer.publicKey))] },
  ];
  const ledger = await startTestLedger({
    config: {
      log_kind: "receipts",
      trace: { revocation_keys: [revocationSigner.publicKey] },
      scitt: { key_file: "scitt.key", issuers },
    },
    scittKey: coseSigners.ed25519,
    clock: { nowMs: () => clock.ms },
  });
  dataDir = ledger.dataDir;
  folders.push(dataDir);
  await fill(ledger);
  await ledger.close();
});

afterAll(async () => {
  for (const folder of folders) await removeFolder(folder);
});

const faultsOf = async (folder: string): Promise<readonly string[]> =>
  (await checkDataFolder({ dataDir: folder, workers: 0 })).findings.faults.map(
    ({ path, code, message }) => `${path} ${code} ${message}`,
  );

describe("a log that holds entries of all forms", () => {
  it("is sound to fsck, and so is its backup", async () => {
    expect(await faultsOf(dataDir)).toEqual([]);
    expect(await checkDataFolder({ dataDir, workers: 0 })).toMatchObject({ size: 19n, receipts: 9 });
    const copy = await makeFolder();
    folders.push(copy);
    await backUp({ dataDir, to: copy });
    expect(await faultsOf(copy)).toEqual([]);
  });

  it("gets the same rows from a rebuild of the index as from admission", async () => {
    const copy = await copyFolder(dataDir);
    folders.push(copy);
    expect(await rebuildIndex({ dataDir: copy, isDryRun: false })).toBe(19n);
    expect(await faultsOf(copy)).toEqual([]);
    await rm(`${copy}/index`, { recursive: true });
    expect(await faultsOf(copy)).toEqual([]);
  });

  it("has its rows of names and revocations judged: wrong, missing and stray ones are named", async () => {
    const rows = [
      { key: `n/${names[0]}`, value: new Uint8Array(8) },
      { key: `x/${"f".repeat(32)}`, value: new Uint8Array(8) },
    ];
    for (const row of rows) {
      const copy = await copyFolder(dataDir);
      folders.push(copy);
      const store = await openLevelIndex(copy);
      await store.write({ rows: [row], watermark: store.watermark });
      await store.close();
      expect(await faultsOf(copy)).toEqual([expect.stringContaining("index ERR_INDEX_ROW")]);
    }
  });

  it("is exported whole", async () => {
    let bytes = 0;
    for await (const part of exportLog(await openFolderSource(dataDir), {})) bytes += part.length;
    expect(bytes).toBeGreaterThan(1000);
  });
});

describe("an entry of another form", () => {
  const log = { origin: LEDGER_ORIGIN, operator_key: formatPublicKey(operator.publicKey) };
  const { instance, receipt } = stream;
  const keys = { instance_key: formatPublicKey(instance.publicKey), receipt_key: formatPublicKey(receipt.publicKey) };
  const check = (entry: Uint8Array, streams = [{ stream: stream.stream, keys }]): EntryVerdict =>
    new EntryChecker(log).check({
      firstIndex: 7,
      bundle: formatEntryBundle([entry]),
      count: 1,
      skip: [],
      holes: [],
      streams,
    });
  const changed = (bytes: Uint8Array, members: JsonObject): Uint8Array => {
    const value = parseJson(bytes, { maxBytes: 65_536 });
    return canonicalBytes({ ...(isJsonObject(value) ? value : {}), ...members });
  };
  const named = makeNamedRecord(LEDGER_ORIGIN, { iat: 9 });

  it.each([
    ["statement", statementEntry(parseStatement(makeStatement(4)))],
    ["trust record", canonicalBytes(named)],
    ["trust record that quotes a registration", quoting],
    ["revocation", canonicalBytes(revocation)],
    ["reservation", reservation(names[0])],
    ["expiry", expiry()],
  ])("is sound: %s", (_, entry) => {
    expect(check(entry)).toEqual({ runs: [], faults: [], others: [0], hasHole: false });
  });

  const spaced = formatUtf8(` ${Buffer.from(canonicalBytes(named)).toString()}`).subarray(1);
  const loose = formatUtf8(Buffer.from(spaced).toString().replace(",", ", "));
  const stranger = createSigner("ed25519", new Uint8Array(32).fill(99));
  const falseName = derivedName(makeTrustRecord({ iat: 10 }));
  const faulty: readonly (readonly [string, ErrorCode, Uint8Array])[] = [
    ["a statement that is cut", "ERR_CBOR_SYNTAX", statementEntry(parseStatement(makeStatement(4))).slice(0, -1)],
    ["a trust record in another spelling", "ERR_ENTRY_FORM", loose],
    ["a trust record that was changed", "ERR_SIGNATURE_INVALID", changed(canonicalBytes(named), { iat: 11 })],
    [
      "a trust record under a name that it does not derive",
      "ERR_TRUST_RECORD_NAME",
      canonicalBytes(makeTrustRecord({ transparency: trustRecordUri(LEDGER_ORIGIN, falseName) })),
    ],
    ["a revocation of another log", "ERR_ADMISSION", canonicalBytes(makeRevocation({ log_id: "other.example/log" }))],
    ["a reservation in another log", "ERR_ADMISSION", reservation(names[0], "other.example/log")],
    ["a reservation by a stranger", "ERR_SIGNATURE_MISSING", reservation(names[0], LEDGER_ORIGIN, stranger)],
    ["an expiry by a stranger", "ERR_SIGNATURE_MISSING", expiry(stranger)],
    ["an expiry that was changed", "ERR_SIGNATURE_INVALID", changed(expiry(), { reserved_index: 6 })],
  ];
  it.each(faulty)("is told from a sound one: %s", (_, code, entry) => {
    const { faults, others, hasHole } = check(entry);
    expect([faults.map((fault) => [fault.index, fault.code]), others, hasHole]).toEqual([[[7, code]], [], false]);
  });

  it("needs its stream to be registered before it: a reservation", () => {
    expect(check(reservation(names[0]), []).faults).toMatchObject([{ code: "ERR_STREAM_UNKNOWN" }]);
  });

  it("is nothing else than a receipt if it is of no known form", () => {
    expect(check(formatUtf8('{"kind":"unheard-of"}'))).toMatchObject({ others: [], hasHole: true });
  });
});
