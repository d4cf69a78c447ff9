/** S-T3: after an incident somebody builds another history, with the ledger's key, its backup, or a retired gateway's keys. */

import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { checkConsistency } from "../../kernel/merkle/consistency-proof.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { proveConsistency } from "../../kernel/merkle/prove.ts";
import { codeOf } from "../support/code-of.ts";
import { makeMemoryStateFiles } from "../support/memory-state-files.ts";
import { makeMemoryTree } from "../support/memory-tree.ts";
import { listed, openMemoryWitness } from "../support/memory-witness.ts";
import { makeSmallLog, type SmallLog } from "../support/small-log.ts";
import { bodyOf, forgeStream, stealKeys } from "./forged-stream.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("latin1");

/** A stream with three calls, and its entries as the log has them, the registration first. */
async function startAndStop(): Promise<{ readonly scenario: Scenario; readonly rows: readonly Uint8Array[] }> {
  const scenario = await open(startScenario({ rules: PERMIT_ALL, servers: { crm: { tools: [{ name: "find" }] } } }));
  for (let i = 0; i < 3; i += 1) await scenario.call("find");
  let rows: readonly Uint8Array[] = [];
  await scenario.evidence({
    entries: (honest) => {
      rows = honest;
      return honest;
    },
  });
  return { scenario, rows };
}

/** A log of these entries, signed by the one key that the ledger has. */
const logOf = (rows: readonly Uint8Array[]): SmallLog =>
  makeSmallLog("ledger.example/s-t3", 7, rows.length, (i) => text(rows[i]));

describe("S-T3 a history that the ledger's key holder builds anew", () => {
  it("has no consistency with any checkpoint that somebody kept, and no witness goes along", async () => {
    const { scenario, rows } = await startAndStop();
    const keys = stealKeys(scenario.folder, scenario.stream);
    const rebuilt = [
      ...rows.slice(0, 1),
      ...forgeStream(keys, rows.slice(1), (body) => withoutLatency(body)),
      formatUtf8("one more"),
    ];
    const [kept, other] = [logOf(rows), logOf(rebuilt)];
    const witness = await openMemoryWitness(makeMemoryStateFiles(), [listed(kept)]);
    expect((await witness.grow(kept, 0, rows.length)).status).toBe(200);
    // The key is the ledger's own and its signature holds; only the history is another one.
    const refused = await witness.grow(other, rows.length, rebuilt.length);
    expect(refused.status).toBe(422);
    const [oldTree, newTree] = [rows, rebuilt].map((list) => makeMemoryTree(list.map(hashLeaf)));
    const sizes = [BigInt(rows.length), BigInt(rebuilt.length)] as const;
    const [oldRoot, root] = [oldTree?.roots.at(-1), newTree?.roots.at(-1)];
    if (newTree === undefined || oldRoot === undefined || root === undefined) throw new Error("no roots");
    const proof = await proveConsistency(...sizes, newTree.reader);
    const check = (): void => checkConsistency({ oldSize: sizes[0], oldRoot, size: sizes[1], root, proof });
    expect(codeOf(check)).toBe("ERR_OLD_ROOT_MISMATCH");
  });

  it("from a restored backup is shorter than what witnesses have seen, and is refused", async () => {
    const { rows } = await startAndStop();
    const log = logOf(rows);
    const witness = await openMemoryWitness(makeMemoryStateFiles(), [listed(log)]);
    await witness.grow(log, 0, rows.length);
    expect((await witness.grow(log, rows.length - 2, rows.length - 1)).status).toBe(409);
    expect((await witness.grow(log, 0, rows.length - 1)).status).toBe(409);
  });

  it("has the ledger's signature and no quorum: one signer is not two witnesses", async () => {
    const { scenario } = await startAndStop();
    const { words, exit } = await scenario.evidence({ more: { cosigned: [] } });
    expect(words["log.quorum"]).toBe("ERR_QUORUM");
    expect(exit).toBe(1);
  });
});

describe("S-T3 a retired gateway's keys", () => {
  it("sign an old-dated receipt that comes late: outside of its sealed session, behind later numbers", async () => {
    const { scenario, rows } = await startAndStop();
    const bodies = rows.slice(1).map(bodyOf);
    const denied = bodies.find(({ kind }) => kind === "decision");
    if (denied === undefined) throw new Error("no decision");
    const late = { ...denied, call: { ...(denied["call"] as JsonObject), id: "e".repeat(32) } };
    const keys = stealKeys(scenario.folder, scenario.stream);
    const { words, exit } = await scenario.evidence({
      entries: (honest) => [...honest.slice(0, 1), ...forgeStream(keys, honest.slice(1), (body) => body, [late])],
      more: { windows: [{ stream: scenario.stream, first_seq: 0, last_seq: bodies.length }] },
    });
    expect(words["session.sealed"]).toMatch(/^ERR_SESSION_/u);
    expect(exit).toBe(1);
  });

  it("sign nothing behind the end of a closed stream", async () => {
    const scenario = await open(
      startScenario({
        rules: PERMIT_ALL,
        config: { close_stream: true },
        servers: { crm: { tools: [{ name: "find" }] } },
      }),
    );
    await scenario.call("find");
    const keys = stealKeys(scenario.folder, scenario.stream);
    let last = 0;
    const entries = (honest: readonly Uint8Array[]): readonly Uint8Array[] => {
      last = honest.length - 1;
      const beat = honest
        .slice(1)
        .map(bodyOf)
        .find(({ kind }) => kind === "policy-load");
      return [
        ...honest.slice(0, 1),
        ...forgeStream(keys, honest.slice(1), (body) => body, beat === undefined ? [] : [beat]),
      ];
    };
    await scenario.finish();
    const count = (await scenario.receipts()).length;
    const { words, exit } = await scenario.evidence({
      entries,
      more: { windows: [{ stream: scenario.stream, first_seq: 0, last_seq: count }] },
    });
    expect(last).toBe(count);
    expect(words["stream.continuity"]).toBe("ERR_STREAM_CLOSED");
    expect(exit).toBe(1);
  });
});

/** Another history that reads like the honest one: outcomes took no time. */
function withoutLatency(body: JsonObject): JsonObject {
  return body["kind"] === "outcome" ? { ...body, latency: { state: "absent" } } : body;
}
