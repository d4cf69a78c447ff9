import { describe, expect, it } from "vitest";
import { makeExecutor } from "../../api/graphql/executor.ts";
import { DEFAULT_LIMITS } from "../../api/graphql/limits.ts";
import type { RootValue } from "../../api/graphql/root.ts";
import { CheckError, StoreError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";

const none = (): null => null;

/** An executor whose `checkpoint` does what the test wants. */
function executorOf(
  checkpoint: RootValue["checkpoint"],
  monotonicMs = (): number => 0,
  query = "{ checkpoint { size } }",
) {
  const faults: unknown[] = [];
  const root: RootValue = {
    node: none,
    ledgers: none,
    checkpoint,
    receipts: none,
    receipt: none,
    sessions: none,
    session: none,
    streams: none,
    stream: none,
    registrations: none,
    inclusionProof: none,
    consistencyProof: none,
    logProof: none,
    alarms: none,
  };
  const limits = { ...DEFAULT_LIMITS, timeout_ms: 100 };
  const execute = makeExecutor({ root, limits, monotonicMs, onFault: (error) => faults.push(error) });
  const run = async (): Promise<JsonValue> => {
    const { body } = await execute(new TextEncoder().encode(JSON.stringify({ query })));
    const answer = parseJson(body);
    return isJsonObject(answer) ? (answer["errors"] ?? null) : null;
  };
  return { run, faults };
}

describe("the executor", () => {
  it("cuts off a request that takes too long", async () => {
    let now = 0;
    const { run } = executorOf(
      (_args, { checkTime }) => {
        checkTime();
        now = 101;
        checkTime();
      },
      () => now,
    );
    expect(await run()).toMatchObject([{ extensions: { code: "ERR_GRAPHQL_LIMIT" } }]);
  });

  it("cuts off a request whose fields alone take too long, and one whose answer has no end", async () => {
    let now = 0;
    const slow = executorOf(
      () => {
        now = 101;
        return { size: 1 };
      },
      () => now,
    );
    expect(await slow.run()).toMatchObject([{ extensions: { code: "ERR_GRAPHQL_LIMIT" } }]);
    const large = executorOf(() => ({ root: "x".repeat(16_777_217) }), undefined, "{ checkpoint { root } }");
    expect(await large.run()).toMatchObject([{ extensions: { code: "ERR_GRAPHQL_LIMIT" } }]);
  });

  it("tells what a request did wrong, and keeps what we did wrong to the log", async () => {
    const asked = executorOf(() => {
      throw new CheckError("ERR_INDEX_RANGE", "leaf 9 is not in a tree of 2 leaves");
    });
    expect(await asked.run()).toMatchObject([{ message: "leaf 9 is not in a tree of 2 leaves" }]);
    expect(asked.faults).toEqual([]);
    for (const fault of [new Error("secret path /x"), new StoreError("ERR_TILE_MISSING", "secret path /x")]) {
      const { run, faults } = executorOf(() => Promise.reject(fault));
      const errors = JSON.stringify(await run());
      expect(errors).toContain("internal fault");
      expect(errors).not.toContain("secret");
      expect(faults).toEqual([fault]);
    }
  });
});
