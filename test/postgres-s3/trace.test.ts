import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { checkLogProof, parseLogProof } from "../../kernel/log-proof.ts";
import { signRegistration } from "../../kernel/registration.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { anchorStatus } from "../../kernel/trace/anchor.ts";
import { derivedName, trustRecordUri } from "../../kernel/trace/entry-name.ts";
import { signNameReservation } from "../../kernel/trace/name-reservation.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { checkStoredLog } from "../../ledger/postgres-s3/fsck/fsck.ts";
import { pinning } from "../support/ledger-operator.ts";
import { errorCode, eventually, LEDGER_ORIGIN, SUBMIT } from "../support/ledger-service.ts";
import { nodeStorage, startNode, type TestNode } from "../support/postgres-s3-log.ts";
import { S3_CREDENTIALS } from "../support/s3-server.ts";
import { type StoreServers, startStoreServers } from "../support/store-servers.ts";
import { makeNamedRecord, makeRevocation, makeTrustRecord, revocationSigner, traceSigner } from "../support/trace.ts";

const JSON_BODY = { ...SUBMIT, "content-type": "application/json" };
const receiptSigner = createSigner("es256", new Uint8Array(32).fill(91));
const START_MS = 1_790_000_000_000;
const MINUTE_MS = 60_000;
const PREFIX = "trace/";
const clock = { now: START_MS, nowMs: () => clock.now };

let stores: StoreServers;
let url = "";
let one: TestNode;
let other: TestNode;

const start = (role: "both" | "admission"): Promise<TestNode> =>
  startNode({ url }, stores.s3, {
    config: { log_kind: "receipts", trace: { revocation_keys: [revocationSigner.publicKey] } },
    storage: { role, s3_prefix: PREFIX },
    ledger: { clock },
  });

beforeAll(async () => {
  stores = await startStoreServers();
  url = await stores.postgres.newDatabase();
  [one, other] = [await start("both"), await start("admission")];
  const evidence = { type: "software" } as const;
  const body = {
    kind: "registration",
    v: 1,
    origin: LEDGER_ORIGIN,
    evidence,
    time: formatTimestamp(START_MS),
  } as const;
  expect((await post(one, "/register", signRegistration(body, traceSigner, receiptSigner))).status).toBe(201);
});
afterAll(async () => {
  await one.close();
  await other.close();
  await stores.remove();
});

const post = (node: TestNode, path: string, body: JsonObject | Uint8Array): Promise<Response> =>
  node.post(path, body instanceof Uint8Array ? body : canonicalBytes(body), JSON_BODY);
const nameOf = (n: number): string => n.toString(16).padStart(32, "0");
const recordCalled = (name: string, members: JsonObject): JsonObject =>
  makeTrustRecord({ ...members, transparency: trustRecordUri(LEDGER_ORIGIN, name) });
const reservation = (name: string, aheadMs: number): Uint8Array =>
  signNameReservation(
    {
      kind: "name-reservation",
      v: 1,
      origin: LEDGER_ORIGIN,
      stream: traceSigner.publicKey.kid,
      name,
      time: formatTimestamp(clock.now),
      expires: formatTimestamp(clock.now + aheadMs),
    },
    receiptSigner,
  );

async function stateOf(node: TestNode, name: string): Promise<Record<string, unknown>> {
  return JSON.parse(await (await node.get(`/trust-records/${name}`)).text());
}

/** Codes and indexes of answers, sorted: what came of a race. */
async function outcomes(answers: readonly Promise<Response>[]): Promise<readonly string[]> {
  const found = await Promise.all(
    answers.map(async (asked) => {
      const answer = await asked;
      return answer.status === 200 ? "taken" : String(await errorCode(answer));
    }),
  );
  return found.toSorted();
}

describe("TRACE anchoring at several nodes", () => {
  it("anchors a record that one node took at every node, with a receipt and a log proof", async () => {
    const record = makeNamedRecord(LEDGER_ORIGIN, { iat: 1 });
    const name = derivedName(record);
    expect((await post(other, "/trust-records", record)).status).toBe(200);
    const answer = await eventually(async () => {
      const state = await stateOf(one, name);
      return state["state"] === "anchored" ? state : undefined;
    });
    const proof = parseLogProof(String(answer["log_proof"]));
    const policy = parseWitnessPolicy(pinning([0]));
    const { checkpoint } = checkLogProof({ proof, entry: canonicalBytes(record), policy });
    expect(anchorStatus(record, JSON.stringify(answer["anchor_receipt"]), checkpoint)).toEqual({ verdict: "pass" });
    expect((await (await post(one, "/trust-records", record)).json()) as object).toMatchObject({
      index: answer["index"],
    });
  });

  it("gives a reserved name to one record, whichever nodes are asked at once", async () => {
    for (let n = 1; n <= 6; n += 1) {
      const name = nameOf(n);
      const asked = [one, other].map((node, i) => post(node, "/trust-record-names", reservation(name, MINUTE_MS + i)));
      expect(await outcomes(asked)).toEqual(["ERR_TRUST_RECORD_CONFLICT", "taken"]);
      const rivals = [one, other, one, other].map((node, i) =>
        post(node, "/trust-records", recordCalled(name, { iat: 100 * n + i })),
      );
      expect(await outcomes(rivals)).toEqual([
        "ERR_TRUST_RECORD_CONFLICT",
        "ERR_TRUST_RECORD_CONFLICT",
        "ERR_TRUST_RECORD_CONFLICT",
        "taken",
      ]);
      const [here, there] = [await stateOf(one, name), await stateOf(other, name)];
      expect(here["index"]).toBe(there["index"]);
    }
  });

  it("ends a reservation once, at whichever node somebody looks, and lets nothing fill it afterwards", async () => {
    const name = nameOf(77);
    expect((await post(other, "/trust-record-names", reservation(name, MINUTE_MS))).status).toBe(200);
    expect(await stateOf(one, name)).toMatchObject({ state: "pending" });
    clock.now += 2 * MINUTE_MS;
    const states = await Promise.all([one, other, one, other].map((node) => stateOf(node, name)));
    expect(new Set(states.map((state) => state["expired_index"])).size).toBe(1);
    expect(states[0]).toMatchObject({ state: "expired" });
    expect(await errorCode(await post(one, "/trust-records", recordCalled(name, { iat: 7 })))).toBe(
      "ERR_TRUST_RECORD_NAME",
    );
  });

  it("lists revocations of every node in log order, and keeps names over a restart", async () => {
    const revocation = makeRevocation({ log_id: LEDGER_ORIGIN });
    expect((await post(other, "/revocations", revocation)).status).toBe(200);
    const listed = await eventually(async () => {
      const found = (await (await one.get("/revocations")).json()) as { revocations: readonly object[] };
      return found.revocations.length > 0 ? found.revocations : undefined;
    });
    expect(listed).toMatchObject([{ statement: revocation }]);
    const before = await stateOf(one, nameOf(3));
    await other.close();
    other = await start("admission");
    expect((await stateOf(other, nameOf(3)))["index"]).toBe(before["index"]);
    expect(await errorCode(await post(other, "/trust-records", recordCalled(nameOf(3), { iat: 9 })))).toBe(
      "ERR_TRUST_RECORD_CONFLICT",
    );
  });

  it("leaves a log that fsck finds whole", async () => {
    const storage = nodeStorage(stores.s3, { s3_prefix: PREFIX });
    const secrets = { databaseUrl: url, credentials: S3_CREDENTIALS };
    const report = await checkStoredLog({ origin: LEDGER_ORIGIN, storage, secrets, workers: 0 });
    expect(report.findings.faults).toEqual([]);
  });
});
