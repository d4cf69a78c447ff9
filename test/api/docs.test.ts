import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseApiConfig } from "../../api/config.ts";
import { SCHEMA } from "../../api/graphql/schema.ts";
import { ALARM_KINDS } from "../../api/index/alarms.ts";
import { AuditedLog, registrationEntry } from "../support/audited-log.ts";
import { type AuditedNode, startNode } from "../support/audited-node.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";
import { policyText } from "../support/log-keys.ts";
import { gatewayKeys, makeStream } from "../support/receipts.ts";
import { ROOT } from "../support/source-files.ts";

const document = readFileSync(join(ROOT, "docs", "graphql.md"), "utf8");
const block = fencedBlocks("docs/graphql.md");
let node: AuditedNode;

beforeAll(async () => {
  const keys = gatewayKeys();
  const { receipts } = makeStream({ keys });
  const log = new AuditedLog().append(registrationEntry(keys), ...receipts.map(({ bytes }) => bytes)).publish();
  node = await startNode({ main: log });
  await node.untilState("main", "FOLLOWING");
});
afterAll(() => node.remove());

describe("docs/graphql.md", () => {
  it("shows the schema that is served, which clients depend on", () => {
    expect(`${block("schema")}\n`).toBe(SCHEMA);
  });

  it.each(["denied", "newest", "span", "proof", "missing", "honest"])(
    "shows a question that is answered: %s",
    async (name) => {
      const { data, errors } = await node.ask(block(name));
      expect(errors).toEqual([]);
      expect(data).not.toBe(null);
    },
  );

  it("shows a configuration that is taken, with a policy put into it", () => {
    const config = JSON.parse(block("config"));
    config.ledgers[0].witness_policy = policyText(2);
    expect(parseApiConfig(config).ledgers).toHaveLength(1);
  });

  it("explains every kind of alarm, and no other", () => {
    const [, section = ""] = document.split("## Alarms");
    const explained = [...(section.split("\n## ")[0] ?? "").matchAll(/^\| `([A-Z_]+)` \|/gmu)].map(([, kind]) => kind);
    expect(explained).toEqual(ALARM_KINDS.map((kind) => kind.toUpperCase().replaceAll("-", "_")));
  });

  it("answers the question of the README", async () => {
    const readme = readFileSync(join(ROOT, "README.md"), "utf8");
    const body = /-d '(\{"query".*\})'/u.exec(readme)?.[1] ?? "";
    const answer = await node.post(body);
    expect(await answer.json()).toEqual({ data: { receipts: { edges: [] } } });
  });
});
