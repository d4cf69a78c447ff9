import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../support/command.ts";
import { makeTopology, type RunningTopology } from "../support/topology.ts";

const KILLS = 10;
const CALLS_BETWEEN_KILLS = 20;

interface Status {
  readonly stream: string;
  readonly next_seq: number;
  readonly outbox: { readonly proven: number };
}

describe("a ledger that dies again and again under a working gateway", () => {
  let topology: RunningTopology;
  beforeAll(async () => {
    topology = makeTopology();
    for (const service of ["witness-1", "witness-2", "witness-3", "ledger", "gateway"] as const) {
      await topology.start(service);
    }
  }, 120_000);
  afterAll(() => topology.remove(), 60_000);

  async function status(): Promise<Status> {
    const headers = { authorization: `Bearer ${topology.token("operator")}` };
    return (await (await fetch(`${topology.operatorUrl}/status`, { headers })).json()) as Status;
  }

  it("costs no call and no receipt: the outbox drains, and the stream is whole in the log", async () => {
    const client = new Client({ name: "kill-test", version: "1.0.0" });
    const headers = { Authorization: `Bearer ${topology.token("agent")}` };
    const url = new URL(`${topology.url("gateway")}/mcp`);
    await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }));
    const before = (await status()).next_seq;
    let answered = 0;
    for (let kill = 0; kill < KILLS; kill += 1) {
      const calls = Array.from({ length: CALLS_BETWEEN_KILLS }, (_, index) =>
        client.callTool({ name: "everything__echo", arguments: { message: `call ${kill}-${index}` } }),
      );
      await topology.end("ledger", "SIGKILL");
      const results = await Promise.all(calls);
      answered += results.filter((result) => result.isError !== true).length;
      await topology.start("ledger");
    }
    expect(answered).toBe(KILLS * CALLS_BETWEEN_KILLS);

    const end = await status();
    expect(end.next_seq - before).toBeGreaterThanOrEqual(2 * answered);
    await until(
      "every receipt has a witnessed proof",
      async () => (await status()).outbox.proven >= end.next_seq,
      60_000,
    );
    const answer = await fetch(`${topology.url("ledger")}/streams/${end.stream}`, {
      headers: { authorization: `Bearer ${topology.token("submit")}` },
    });
    expect(((await answer.json()) as { next_seq: number }).next_seq).toBeGreaterThanOrEqual(end.next_seq);
    await client.close();
  });
});
