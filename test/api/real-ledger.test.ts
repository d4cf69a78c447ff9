import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { parseApiConfig } from "../../api/config.ts";
import { startApi } from "../../api/start.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { signRegistration } from "../../kernel/registration.ts";
import { formatSegment, makeSegment } from "../../kernel/segment.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { readAnswer } from "../support/audited-node.ts";
import {
  eventually,
  LEDGER_KEYS,
  LEDGER_ORIGIN,
  READER_TOKEN,
  removeLedgers,
  SUBMIT,
  startTestLedger,
  type TestLedger,
} from "../support/ledger-service.ts";
import { type FakeWitness, startFakeWitness } from "../support/ledger-witness.ts";
import { gatewayKeys, makeStream } from "../support/receipts.ts";

const ledgers: TestLedger[] = [];
const witnesses: FakeWitness[] = [];
const folders: string[] = [];

afterEach(async () => {
  await removeLedgers(ledgers.splice(0));
  for (const witness of witnesses.splice(0)) await witness.close();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

describe("an auditor node before a real ledger", () => {
  it("indexes what a gateway sent, over HTTP, with a reader's token, and goes on after a restart", async () => {
    for (const n of [1, 2]) witnesses.push(await startFakeWitness(n));
    const logs = LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}\n`).join("");
    const policy = `${logs}${witnesses.map(({ policyLine }) => `${policyLine}\n`).join("")}group g all w1 w2\nquorum g\n`;
    const ledger = await startTestLedger({ config: { log_kind: "receipts", witness_policy: policy } });
    ledgers.push(ledger);
    const keys = gatewayKeys();
    const { receipts, stream } = makeStream({ keys, log: LEDGER_ORIGIN });
    const bytes = receipts.map((receipt) => receipt.bytes);
    const time = formatTimestamp(Date.now());
    const body = { kind: "registration", v: 1, origin: LEDGER_ORIGIN, evidence: { type: "software" }, time } as const;
    const json = { ...SUBMIT, "content-type": "application/json" };
    expect((await ledger.post("/register", signRegistration(body, keys.instance, keys.receipt), json)).status).toBe(
      201,
    );
    const segment = makeSegment({ origin: LEDGER_ORIGIN, stream, firstSeq: 0, receipts: bytes }, keys.receipt);
    const ndjson = { ...SUBMIT, "content-type": "application/x-ndjson" };
    expect((await ledger.post("/segments", formatSegment(segment, bytes), ndjson)).status).toBe(200);

    const dataDir = await mkdtemp(join(tmpdir(), "countersign-api-"));
    folders.push(dataDir);
    const config = parseApiConfig({
      listen: { port: 0 },
      data_dir: dataDir,
      poll_ms: 20,
      ledgers: [{ name: "local", url: ledger.url, witness_policy: policy, reader_token_file: "read" }],
    });
    const start = () =>
      startApi({
        config,
        tokens: { readers: [], ledgers: new Map([["local", READER_TOKEN]]) },
        version: "0",
        logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
      });
    const query = "{ ledgers { state indexed receipts alarms } streams { edges { node { nextSeq faults closed } } } }";
    for (const run of ["first", "second"]) {
      const node = await start();
      const data = await eventually(async () => {
        const headers = { "content-type": "application/json" };
        const answer = await fetch(`${node.url}/graphql`, { method: "POST", headers, body: JSON.stringify({ query }) });
        const { data } = await readAnswer(answer);
        return data.ledgers[0].state === "FOLLOWING" && data.ledgers[0].indexed === 12 ? data : undefined;
      });
      expect(data.ledgers[0], run).toMatchObject({ receipts: 10, alarms: 0 });
      expect(data.streams.edges).toEqual([{ node: { nextSeq: 10, faults: 0, closed: true } }]);
      await node.close();
    }
  });
});
