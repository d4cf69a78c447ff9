import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { AuditedLog } from "../support/audited-log.ts";
import { type AuditedNode, startNode } from "../support/audited-node.ts";
import { sendRaw, statusesOf } from "../support/raw-http.ts";

const nodes: AuditedNode[] = [];
const folders: string[] = [];

async function start(...args: Parameters<typeof startNode>): Promise<AuditedNode> {
  const node = await startNode(...args);
  nodes.push(node);
  return node;
}

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.remove();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

describe("an auditor node", () => {
  it("comes back to a ledger that was away", async () => {
    const log = new AuditedLog();
    log.isUp = false;
    const node = await start({ main: log });
    await node.untilState("main", "UNREACHABLE");
    log.isUp = true;
    log.publish();
    await node.untilState("main", "FOLLOWING");
    expect((await node.ask("{ ledgers { alarms lastContact } }")).data.ledgers[0]).toMatchObject({ alarms: 0 });
  });

  it("remembers a fork over a restart, with both notes, and stays ready for its other ledgers", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "countersign-api-"));
    folders.push(dataDir);
    const log = new AuditedLog().append(formatUtf8("a")).publish();
    const first = log.note;
    const node = await startNode({ main: log, other: new AuditedLog().publish() }, { dataDir });
    await node.untilState("main", "FOLLOWING");
    log.entries[1] = formatUtf8("b");
    log.publish();
    await node.untilState("main", "FORKED");
    await node.close();
    const again = await start({ main: log, other: new AuditedLog().publish() }, { dataDir });
    await again.untilState("main", "FORKED");
    await again.untilState("other", "FOLLOWING");
    const { data } = await again.ask(
      '{ alarms(ledger: "main", last: 1) { edges { node { kind code evidence { text } } } } }',
    );
    expect(data.alarms.edges[0].node).toEqual({
      kind: "FORK",
      code: "ERR_FORK",
      evidence: [{ text: first }, { text: log.note }, { text: expect.stringContaining('"kind":"log-fork"') }],
    });
    expect((await fetch(`${again.url}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${again.url}/metrics`)).text()).toContain('auditor_ledger_forked{ledger="main"} 1');
  });

  it("refuses more requests at the same time than it may run", async () => {
    const node = await start({ main: new AuditedLog().publish() }, { limits: { max_concurrent: 1 } });
    await node.untilState("main", "FOLLOWING");
    const body = JSON.stringify({ query: "{ ledgers { checkpoint { size } receipts } }" });
    const { host } = new URL(node.url);
    const head = `POST /graphql HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\n`;
    const request = `${head}content-length: ${body.length}\r\n`;
    // In one piece: all are read before the first has its rows from disk.
    const answers = await sendRaw(
      node.url,
      `${`${request}\r\n${body}`.repeat(19)}${request}connection: close\r\n\r\n${body}`,
    );
    const statuses = statusesOf(answers);
    expect(statuses).toEqual([200, ...Array.from({ length: 19 }, () => 429)]);
    expect(answers.match(/"code":"ERR_QUEUE_FULL"/gu)?.length).toBe(19);
    expect((await node.post(body)).status).toBe(200);
  });

  it("shares its folder with no other process", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "countersign-api-"));
    folders.push(dataDir);
    await start({ main: new AuditedLog() }, { dataDir });
    await expect(startNode({ main: new AuditedLog() }, { dataDir })).rejects.toMatchObject({
      code: "ERR_FOLDER_LOCKED",
    });
  });
});
