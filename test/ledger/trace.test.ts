import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseBase64 } from "../../kernel/base64.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { checkLogProof, parseLogProof } from "../../kernel/log-proof.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { signRegistration } from "../../kernel/registration.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { anchorStatus } from "../../kernel/trace/anchor.ts";
import { derivedName, trustRecordUri } from "../../kernel/trace/entry-name.ts";
import { parseNameExpiry, signNameReservation } from "../../kernel/trace/name-reservation.ts";
import { jwkThumbprint } from "../../kernel/trace/record-key.ts";
import { checkRevocation, readRevocation, standsAgainst } from "../../kernel/trace/revocation.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { checkDataFolder } from "../../ledger/fsck/fsck.ts";
import {
  errorCode,
  eventually,
  LEDGER_KEYS,
  LEDGER_ORIGIN,
  NO_WITNESSES,
  READ,
  removeLedgers,
  SUBMIT,
  startTestLedger,
  type TestLedger,
} from "../support/ledger-service.ts";
import {
  makeNamedRecord,
  makeRevocation,
  makeRevocationBundle,
  makeTrustRecord,
  revocationSigner,
  traceSigner,
} from "../support/trace.ts";

const JSON_BODY = { ...SUBMIT, "content-type": "application/json" };
const receiptSigner = createSigner("es256", new Uint8Array(32).fill(91));
const stranger = createSigner("ed25519", new Uint8Array(32).fill(92));
const operator = createSigner("ed25519", new Uint8Array(32).fill(43)).publicKey;
const START_MS = 1_790_000_000_000;

const clock = {
  now: START_MS,
  nowMs(): number {
    return this.now;
  },
};

function start(dataDir?: string): Promise<TestLedger> {
  return startTestLedger({
    config: { log_kind: "receipts", trace: { revocation_keys: [revocationSigner.publicKey] } },
    clock: { nowMs: () => clock.nowMs() },
    ...(dataDir === undefined ? {} : { dataDir }),
  });
}

const post = (ledger: TestLedger, path: string, body: JsonObject | Uint8Array): Promise<Response> =>
  ledger.post(path, body instanceof Uint8Array ? body : canonicalBytes(body), JSON_BODY);
const objectOf = async (response: Response): Promise<Record<string, unknown>> => JSON.parse(await response.text());

async function register(ledger: TestLedger): Promise<void> {
  const body = {
    kind: "registration",
    v: 1,
    origin: LEDGER_ORIGIN,
    evidence: { type: "software" },
    time: formatTimestamp(START_MS),
  } as const;
  const response = await post(ledger, "/register", signRegistration(body, traceSigner, receiptSigner));
  expect(response.status).toBe(201);
}

/** The answer about a name, once a published checkpoint covers it. */
function anchored(ledger: TestLedger, name: string, query = "", headers = {}): Promise<Record<string, unknown>> {
  return eventually(async () => {
    const answer = await objectOf(await ledger.get(`/trust-records/${name}${query}`, headers));
    return answer["state"] === "anchored" ? answer : undefined;
  });
}

/** The list of revocations, once it has one. */
function revocationsOf(ledger: TestLedger): Promise<Record<string, unknown>> {
  return eventually(async () => {
    const found = await objectOf(await ledger.get("/revocations"));
    return Array.isArray(found["revocations"]) && found["revocations"].length > 0 ? found : undefined;
  });
}

const KEYS = LEDGER_KEYS.map(({ verifierKey }) => verifierKey);
const POLICY = parseWitnessPolicy(`${KEYS.map((key) => `log ${formatVerifierKey(key)}`).join("\n")}\n${NO_WITNESSES}`);
const reserved = (
  name: string,
  aheadMs: number,
  signer = receiptSigner,
  stream = traceSigner.publicKey.kid,
): Uint8Array =>
  signNameReservation(
    {
      kind: "name-reservation",
      v: 1,
      origin: LEDGER_ORIGIN,
      stream,
      name,
      time: formatTimestamp(clock.now),
      expires: formatTimestamp(clock.now + aheadMs),
    },
    signer,
  );
const recordCalled = (name: string, members: JsonObject = {}, signer = traceSigner): JsonObject =>
  makeTrustRecord({ ...members, transparency: trustRecordUri(LEDGER_ORIGIN, name) }, signer);
const nameOf = (n: number): string => n.toString(16).padStart(32, "0");

describe("trust records in a log", () => {
  let ledger: TestLedger;
  beforeAll(async () => {
    ledger = await start();
    await register(ledger);
  });
  afterAll(() => removeLedgers([ledger]));

  it("get the entry that they name, with an anchor receipt and a log proof of one tree", async () => {
    const record = makeNamedRecord(LEDGER_ORIGIN, { iat: 1 });
    const name = derivedName(record);
    const response = await post(ledger, "/trust-records", record);
    expect(response.status).toBe(200);
    expect(await objectOf(response)).toMatchObject({ name, uri: record["transparency"] });
    const answer = await anchored(ledger, name);
    const proof = parseLogProof(String(answer["log_proof"]));
    const { checkpoint } = checkLogProof({ proof, entry: canonicalBytes(record), policy: POLICY });
    expect(anchorStatus(record, JSON.stringify(answer["anchor_receipt"]), checkpoint)).toEqual({ verdict: "pass" });
    expect(answer["entry"]).toBeUndefined();
    expect((await objectOf(await post(ledger, "/trust-records", record)))["index"]).toBe(answer["index"]);
  });

  it("are given to readers, and anchored at any size that covers them", async () => {
    const record = makeNamedRecord(LEDGER_ORIGIN, { iat: 2 });
    const { index } = await objectOf(await post(ledger, "/trust-records", record));
    const name = derivedName(record);
    expect(parseBase64(String((await anchored(ledger, name, "", READ))["entry"]))).toEqual(canonicalBytes(record));
    const at = Number(index) + 1;
    const answer = await anchored(ledger, name, `?size=${at}`);
    expect(answer["anchor_receipt"]).toMatchObject({ leaf_count: at, leaf_index: index });
    expect(anchorStatus(record, JSON.stringify(answer["anchor_receipt"]), undefined).verdict).toBe("not_established");
    const refused = await ledger.get(`/trust-records/${name}?size=${index}`);
    expect([refused.status, await errorCode(refused)]).toEqual([403, "ERR_SIZE_RANGE"]);
    expect((await ledger.get(`/trust-records/${name}`, { authorization: "Bearer nope" })).status).toBe(401);
  });

  it("of another log, or of none, are taken without a name", async () => {
    for (const record of [
      makeNamedRecord("other.example/log", { iat: 3 }, stranger),
      makeTrustRecord({ iat: 4 }, stranger),
    ]) {
      const answer = await objectOf(await post(ledger, "/trust-records", record));
      expect([typeof answer["index"], answer["name"]]).toEqual(["number", undefined]);
    }
  });

  it("may be signed by the receipt key, if they say of which stream", async () => {
    const record = makeNamedRecord(LEDGER_ORIGIN, { iat: 5 }, receiptSigner);
    expect(await errorCode(await post(ledger, "/trust-records", record))).toBe("ERR_STREAM_UNKNOWN");
    const answer = await post(ledger, `/trust-records?stream=${traceSigner.publicKey.kid}`, record);
    expect(answer.status).toBe(200);
    // The same statement, signed anew: ES256 signatures differ, and the first complete bytes have the name.
    const again = makeNamedRecord(LEDGER_ORIGIN, { iat: 5 }, receiptSigner);
    const conflict = await post(ledger, `/trust-records?stream=${traceSigner.publicKey.kid}`, again);
    expect([conflict.status, await errorCode(conflict)]).toEqual([409, "ERR_TRUST_RECORD_CONFLICT"]);
  });

  it.each<[string, JsonObject | Uint8Array, number, string]>([
    ["a garbage signature", { ...makeNamedRecord(LEDGER_ORIGIN, { iat: 6 }), signature: "AAAA" }, 403, "ERR_SIGNATURE_INVALID"],
    ["a key that is not registered", makeNamedRecord(LEDGER_ORIGIN, { iat: 6 }, stranger), 403, "ERR_STREAM_UNKNOWN"],
    ["the name of another record", recordCalled("0".repeat(64)), 403, "ERR_TRUST_RECORD_NAME"],
    ["a name that nobody reserved", recordCalled(nameOf(99)), 403, "ERR_TRUST_RECORD_NAME"],
    ["a name of another form", recordCalled("x"), 403, "ERR_TRUST_RECORD_NAME"],
    ["bytes that are not canonical", new TextEncoder().encode(JSON.stringify(makeTrustRecord({}), null, 1)), 400, "ERR_JSON_CANONICAL"],
    ["a text without common form", makeTrustRecord({ subject: "é" }), 400, "ERR_ANCHOR_FORM"],
    ["a number that is no integer", makeTrustRecord({ iat: 1.5 }), 400, "ERR_TRACE_DOCUMENT"],
    ["no profile", { cnf: makeTrustRecord({})["cnf"] }, 400, "ERR_TRACE_DOCUMENT"],
    ["a kind of ours", { ...makeTrustRecord({}), kind: "decision" }, 400, "ERR_TRACE_DOCUMENT"],
    ["a revocation", makeRevocation({ log_id: LEDGER_ORIGIN }), 400, "ERR_TRACE_DOCUMENT"],
  ])("are refused with %s", async (_, body, status, code) => {
    const response = await post(ledger, "/trust-records", body);
    expect([response.status, await errorCode(response)]).toEqual([status, code]);
  }); // biome-ignore format: a table

  it("are submitted with the token of gateways", async () => {
    const body = canonicalBytes(makeNamedRecord(LEDGER_ORIGIN, { iat: 7 }));
    for (const path of ["/trust-records", "/trust-record-names", "/revocations"]) {
      expect((await ledger.post(path, body, { "content-type": "application/json" })).status).toBe(401);
    }
  });

  it.each([
    ["0".repeat(64), 404, "ERR_ENTRY_UNKNOWN"],
    ["0".repeat(63), 400, "ERR_REQUEST"],
    ["x", 400, "ERR_REQUEST"],
  ])("have no entry called %s", async (name, status, code) => {
    const response = await ledger.get(`/trust-records/${name}`);
    expect([response.status, await errorCode(response)]).toEqual([status, code]);
  });
});

describe("reserved names", () => {
  let ledger: TestLedger;
  beforeAll(async () => {
    ledger = await start();
    await register(ledger);
  });
  afterAll(() => removeLedgers([ledger]));

  it("are pending, then filled by a record of their stream, once", async () => {
    const first = await objectOf(await post(ledger, "/trust-record-names", reserved(nameOf(1), 60_000)));
    expect(await objectOf(await ledger.get(`/trust-records/${nameOf(1)}`))).toMatchObject({
      state: "pending",
      reserved_index: first["index"],
    });
    const record = recordCalled(nameOf(1));
    expect((await post(ledger, "/trust-records", record)).status).toBe(200);
    expect((await anchored(ledger, nameOf(1)))["leaf_hash"]).toMatch(/^[0-9a-f]{64}$/u);
    const second = await post(ledger, "/trust-records", recordCalled(nameOf(1), { iat: 2 }));
    expect([second.status, await errorCode(second)]).toEqual([409, "ERR_TRUST_RECORD_CONFLICT"]);
    const again = await post(ledger, "/trust-record-names", reserved(nameOf(1), 120_000));
    expect([again.status, await errorCode(again)]).toEqual([409, "ERR_TRUST_RECORD_CONFLICT"]);
  });

  it("expire by an entry of the log, and cannot be filled behind it", async () => {
    const bytes = reserved(nameOf(2), 1000);
    const { index } = await objectOf(await post(ledger, "/trust-record-names", bytes));
    expect((await objectOf(await post(ledger, "/trust-record-names", bytes)))["index"]).toBe(index);
    clock.now += 1000;
    const [answer, once] = [
      await objectOf(await ledger.get(`/trust-records/${nameOf(2)}`)),
      await objectOf(await ledger.get(`/trust-records/${nameOf(2)}`)),
    ];
    expect(answer).toMatchObject({ state: "expired", reserved_index: index });
    expect(once).toEqual(answer);
    const late = await post(ledger, "/trust-records", recordCalled(nameOf(2)));
    expect([late.status, await errorCode(late)]).toEqual([403, "ERR_TRUST_RECORD_NAME"]);
    const at = Number(answer["expired_index"]);
    const bundle = await eventually(async () => {
      const response = await ledger.get(`/tile/entries/000.p/${at + 1}`, READ);
      return response.status === 200 ? new Uint8Array(await response.arrayBuffer()) : undefined;
    });
    const expiry = parseNameExpiry(parseEntryBundle(bundle, at + 1)[at] ?? new Uint8Array(0), operator);
    expect(expiry).toMatchObject({ name: nameOf(2), reserved_index: index });
  });

  it("are taken by one of many requests at once", async () => {
    await post(ledger, "/trust-record-names", reserved(nameOf(3), 60_000));
    const records = Array.from({ length: 8 }, (_, i) => recordCalled(nameOf(3), { iat: i }));
    const statuses = await Promise.all(
      records.map(async (record) => (await post(ledger, "/trust-records", record)).status),
    );
    expect(statuses.toSorted()).toEqual([200, 409, 409, 409, 409, 409, 409, 409]);
  });

  it.each<[string, () => Uint8Array, string]>([
    ["past times", () => reserved(nameOf(4), 0), "ERR_ADMISSION"],
    ["times beyond 31 days", () => reserved(nameOf(4), 32 * 86_400_000), "ERR_ADMISSION"],
    [
      "streams that are not registered",
      () => reserved(nameOf(4), 1000, receiptSigner, stranger.publicKey.kid),
      "ERR_STREAM_UNKNOWN",
    ],
    ["keys that are not the stream's", () => reserved(nameOf(4), 1000, stranger), "ERR_SIGNATURE_MISSING"],
    ["names of another form", () => reserved("0".repeat(64), 1000), "ERR_SHAPE"],
  ])("are refused to %s", async (_, body, code) => {
    expect(await errorCode(await post(ledger, "/trust-record-names", body()))).toBe(code);
  });

  it("and all that a log knows of TRACE, are rebuilt from its entries", async () => {
    await post(ledger, "/trust-record-names", reserved(nameOf(5), 60_000));
    await post(ledger, "/revocations", makeRevocation({ log_id: LEDGER_ORIGIN }));
    await ledger.close();
    await rm(join(ledger.dataDir, "index"), { recursive: true });
    ledger = await start(ledger.dataDir);
    await anchored(ledger, nameOf(3));
    const after = await Promise.all(
      [1, 2, 3, 5].map(async (n) => (await objectOf(await ledger.get(`/trust-records/${nameOf(n)}`)))["state"]),
    );
    expect(after).toEqual(["anchored", "expired", "anchored", "pending"]);
    await revocationsOf(ledger);
  });
});

describe("revocations in log order", () => {
  let shared: TestLedger;
  beforeAll(async () => {
    shared = await start();
  });
  afterAll(() => removeLedgers([shared]));

  it("are listed with their index, and decide by it", async () => {
    const ledger = await start();
    await register(ledger);
    const records = [1, 2].map((iat) => makeNamedRecord(LEDGER_ORIGIN, { iat }));
    const indexes: bigint[] = [];
    for (const record of records)
      indexes.push(BigInt(Number((await objectOf(await post(ledger, "/trust-records", record)))["index"])));
    const revocation = makeRevocation({ log_id: LEDGER_ORIGIN, last_valid_entry_id: String(indexes[0]) });
    const { index } = await objectOf(await post(ledger, "/revocations", revocation));
    const answer = await revocationsOf(ledger);
    expect(answer).toMatchObject({ origin: LEDGER_ORIGIN, revocations: [{ index, statement: revocation }] });
    const statement = readRevocation(revocation);
    checkRevocation(statement, revocationSigner.publicKey);
    const ids = [jwkThumbprint(traceSigner.publicKey)];
    const verdicts = indexes.map((at) => standsAgainst([statement], ids, { logId: LEDGER_ORIGIN, index: at }));
    expect(verdicts).toEqual([true, false]);
    expect((await objectOf(await ledger.get(`/revocations?from=${Number(index) + 1}`)))["revocations"]).toEqual([]);
    await removeLedgers([ledger]);
  });

  it("come in bundles too, each statement of which a configured key signed", async () => {
    const ledger = await start();
    const statements = [makeRevocation({ log_id: LEDGER_ORIGIN })];
    const bundle = makeRevocationBundle({ log_id: LEDGER_ORIGIN, statements });
    const { index } = await objectOf(await post(ledger, "/revocations", bundle));
    expect(await objectOf(await post(ledger, "/revocations", bundle))).toMatchObject({ index });
    const revocation = await objectOf(await post(ledger, "/revocations", makeRevocation({ log_id: LEDGER_ORIGIN })));
    const all = await eventually(async () => {
      const answer = await revocationsOf(ledger);
      return Array.isArray(answer["revocations"]) && answer["revocations"].length === 2 ? answer : undefined;
    });
    const [first, second] = [
      { index, bundle },
      { index: revocation["index"], statement: statements[0] },
    ];
    expect(all["revocations"]).toEqual([first, second]);
    const refused: readonly (readonly [JsonObject, string])[] = [
      [makeRevocationBundle({ statements: [] }), "ERR_ADMISSION"],
      [makeRevocationBundle({ log_id: LEDGER_ORIGIN, statements: [makeRevocation({})] }), "ERR_TRACE_DOCUMENT"],
      [makeRevocationBundle({ log_id: LEDGER_ORIGIN }, stranger), "ERR_REVOCATION_KEY"],
      [{ ...bundle, issued_at: 1 }, "ERR_SIGNATURE_INVALID"],
      [makeRevocationBundle({ log_id: LEDGER_ORIGIN, more: 1 }), "ERR_SHAPE"],
    ];
    for (const [body, code] of refused) {
      expect([code, await errorCode(await post(ledger, "/revocations", body))]).toEqual([code, code]);
    }
    await ledger.close();
    const { findings } = await checkDataFolder({ dataDir: ledger.dataDir, workers: 0 });
    expect(findings.faults).toEqual([]);
    await removeLedgers([ledger]);
  });

  it.each<[string, JsonObject, string]>([
    ["of another log", makeRevocation({ log_id: "other.example/log" }), "ERR_ADMISSION"],
    ["with an id that is no index", makeRevocation({ log_id: LEDGER_ORIGIN, last_valid_entry_id: "09" }), "ERR_TRACE_DOCUMENT"],
    ["by a key that is not configured", makeRevocation({ log_id: LEDGER_ORIGIN }, stranger), "ERR_REVOCATION_KEY"],
    ["of the revoking key itself", makeRevocation({ log_id: LEDGER_ORIGIN, compromised_key_id: jwkThumbprint(revocationSigner.publicKey) }), "ERR_REVOCATION_KEY"],
    ["with another reason than was signed", { ...makeRevocation({ log_id: LEDGER_ORIGIN }), reason: "x" }, "ERR_SIGNATURE_INVALID"],
    ["with a member too many", makeRevocation({ log_id: LEDGER_ORIGIN, more: 1 }), "ERR_SHAPE"],
  ])("are refused %s", async (_, body, code) => {
    expect(await errorCode(await post(shared, "/revocations", body))).toBe(code);
  }); // biome-ignore format: a table

  it("are not taken by a log that anchors no trust records", async () => {
    const ledger = await startTestLedger({ config: { log_kind: "receipts" } });
    for (const path of ["/trust-records", "/trust-record-names", "/revocations"]) {
      const response = await post(ledger, path, {});
      expect([response.status, await errorCode(response)]).toEqual([404, "ERR_LOG_KIND"]);
    }
    expect((await ledger.get(`/trust-records/${"0".repeat(64)}`)).status).toBe(404);
    await removeLedgers([ledger]);
    const raw = startTestLedger({ config: { trace: { revocation_keys: [] } } });
    await expect(raw).rejects.toMatchObject({ code: "ERR_CONFIG" });
  });
});
