import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import { canonicalBytes, parseCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { parseRegistration } from "../../kernel/registration.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { StreamBook } from "../../ledger/admission/stream-book.ts";
import { eventually, READ, removeLedgers, startTestLedger, type TestLedger } from "../support/ledger-service.ts";
import { refusal, registrationOf, Submitter } from "../support/ledger-submitter.ts";
import { gatewayKeys } from "../support/receipts.ts";

let ledger: TestLedger;
let client: Submitter;

beforeAll(async () => {
  ledger = await startTestLedger({ config: { log_kind: "receipts" } });
  client = new Submitter(ledger.url);
});
afterAll(() => removeLedgers([ledger]));

async function size(of = ledger): Promise<number> {
  const body: unknown = await (await of.get("/readyz")).json();
  return typeof body === "object" && body !== null && "size" in body ? Number(body.size) : Number.NaN;
}

/** The first entries of the log, once they are signed. */
async function entries(count: number): Promise<readonly Uint8Array[]> {
  return eventually(async () => {
    const response = await ledger.get(`/tile/entries/000.p/${count}`, READ);
    return response.status === 200 ? parseEntryBundle(new Uint8Array(await response.arrayBuffer()), count) : undefined;
  });
}

/** A registration with some members replaced, not signed again. */
function altered(bytes: Uint8Array, changes: (registration: JsonObject) => JsonObject): Uint8Array {
  const value = parseCanonical(bytes);
  if (!isJsonObject(value)) throw new Error("not an object");
  return canonicalBytes(changes(value));
}

const signaturesOf = ({ signatures }: JsonObject): readonly JsonObject[] =>
  Array.isArray(signatures) ? signatures : [];

describe("registration", () => {
  it("logs exactly the bytes that were submitted and tells their index; once more gets the same place", async () => {
    const keys = gatewayKeys(10);
    const bytes = registrationOf(keys, { label: "gateway 10" });
    const index = await size();
    const place = { index, leaf_hash: formatHex(hashLeaf(bytes)), stream: keys.instance.publicKey.kid };
    expect(await client.register(bytes)).toEqual({ status: 201, body: place });
    expect((await entries(index + 1))[index]).toEqual(bytes);
    expect(await client.register(bytes)).toEqual({ status: 200, body: place });
    // The same two keys with another label are the same registration: the first one stays.
    expect(await client.register(registrationOf(keys, { label: "renamed" }))).toEqual({ status: 200, body: place });
    expect(await size()).toBe(index + 1);
    expect(await client.tip(keys.instance.publicKey.kid)).toEqual({
      status: 200,
      body: { stream: keys.instance.publicKey.kid, next_seq: 0, registered_index: index, closed: false },
    });
  });

  it("refuses another receipt key for a registered instance key, and says where the first is", async () => {
    const keys = gatewayKeys(20);
    const first = await client.register(registrationOf(keys));
    const other = { instance: keys.instance, receipt: gatewayKeys(70).receipt };
    const before = await size();
    expect(first.status).toBe(201);
    expect(await client.register(registrationOf(other))).toMatchObject(
      refusal(409, "ERR_REGISTRATION_CONFLICT", { registered_index: before - 1 }),
    );
    expect(await size()).toBe(before);
  });

  it("takes one of many that come at once, whether they agree or not", async () => {
    const same = gatewayKeys(30);
    const answers = await Promise.all(Array.from({ length: 10 }, () => client.register(registrationOf(same))));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array<number>(9).fill(200), 201]);
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    const { instance } = gatewayKeys(50);
    const rivals = [51, 52, 53, 54].map((seed) => registrationOf({ instance, receipt: gatewayKeys(seed).receipt }));
    const verdicts = await Promise.all(rivals.map((bytes) => client.register(bytes)));
    expect(verdicts.map(({ status }) => status).toSorted()).toEqual([201, 409, 409, 409]);
  });

  it("wants the submit token", async () => {
    const bytes = registrationOf(gatewayKeys(80));
    for (const headers of [{}, READ, { authorization: "Bearer wrong" }]) {
      expect(await client.register(bytes, headers)).toMatchObject(refusal(401, "ERR_TOKEN"));
    }
  });

  const good = registrationOf(gatewayKeys(90));
  const refused: readonly (readonly [string, Uint8Array, number, string])[] = [
    ["another log's origin", registrationOf(gatewayKeys(90), { origin: "other.example/log" }), 403, "ERR_ADMISSION"],
    ["a changed label", altered(good, (body) => ({ ...body, label: "other" })), 403, "ERR_SIGNATURE_INVALID"],
    [
      "one signature of two",
      altered(good, (body) => ({ ...body, signatures: signaturesOf(body).slice(0, 1) })),
      403,
      "ERR_STREAM_KEY",
    ],
    [
      "a third signature",
      altered(good, (body) => ({
        ...body,
        signatures: [
          ...signaturesOf(body),
          { alg: "ed25519", kid: "0".repeat(64), sig: Buffer.alloc(64).toString("base64") },
        ],
      })),
      403,
      "ERR_STREAM_KEY",
    ],
    ["an unknown member", altered(good, (body) => ({ ...body, admin: true })), 400, "ERR_SHAPE"],
    ["an unknown kind", altered(good, (body) => ({ ...body, kind: "genesis" })), 400, "ERR_SHAPE"],
    ["hardware evidence", altered(good, (body) => ({ ...body, evidence: { type: "tdx" } })), 400, "ERR_SHAPE"],
    ["no JSON", formatUtf8("{"), 400, "ERR_JSON_SYNTAX"],
    ["no body", new Uint8Array(0), 400, "ERR_JSON_SYNTAX"],
    ["JSON that is not canonical", formatUtf8(` ${new TextDecoder().decode(good)}`), 400, "ERR_JSON_CANONICAL"],
    ["a body above 64 KiB", new Uint8Array(70_000).fill(0x20), 413, "ERR_BODY_SIZE"],
  ];
  it.each(refused)("refuses %s", async (_, bytes, status, code) => {
    const before = await size();
    expect(await client.register(bytes)).toMatchObject(refusal(status, code));
    expect(await size()).toBe(before);
  });
});

describe("a registration that is decided and not durable yet", () => {
  it("is seen by the sequencer alone", () => {
    const bytes = registrationOf(gatewayKeys(10));
    const streams = new StreamBook();
    const account = streams.register(parseRegistration(bytes), 1n, hashLeaf(bytes));
    expect([streams.find(account.stream), streams.decided(account.stream)]).toEqual([undefined, account]);
    account.show();
    expect(streams.find(account.stream)).toBe(account);
  });
});

describe("a log whose admission policy refuses software keys", () => {
  it("registers nobody and logs nothing", async () => {
    const strict = await startTestLedger({
      config: { log_kind: "receipts", admission: { software_evidence: "refuse" } },
    });
    const answer = await new Submitter(strict.url).register(registrationOf(gatewayKeys(10)));
    expect(answer).toMatchObject(refusal(403, "ERR_ADMISSION"));
    expect(await size(strict)).toBe(1);
    await removeLedgers([strict]);
  });
});
