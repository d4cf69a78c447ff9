import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { askAuditor } from "../../cli/demo/auditor.ts";
import { type AuditedNode, startNode } from "../support/audited-node.ts";
import { consoleLog } from "../support/console-log.ts";
import { gatewayKeys } from "../support/receipts.ts";

let node: AuditedNode;
beforeAll(async () => {
  node = await startNode({ main: consoleLog() });
});
afterAll(() => node.remove());

describe("what a walk asks the auditor node", () => {
  it("waits until the stream is indexed, and tells of the last denied call and its proof", async () => {
    const text = await askAuditor(node.url, gatewayKeys(60).instance.publicKey.kid, 30);
    expect(text).toContain(
      "receipts of this stream, verified again from the entries up; checkpoint of size 73, 3 witnesses, 0 alarms",
    );
    expect(text).toMatch(/denied: delete_entities, receipt 72, policy.forbid \(policy no-deletes\)/u);
    expect(text).toContain("to the root of size 73, under the witnessed root");
  });
});
