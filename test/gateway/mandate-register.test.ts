/** Mandates that are taken back before their time, and roots that change, while a gateway runs and over its restarts. */

import { describe, expect, it } from "vitest";
import type { Operator } from "../../gateway/controls/operator.ts";
import type { Decided, InboundCall } from "../../gateway/pipeline/call.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import { parseMandate } from "../../kernel/mandate/mandate.ts";
import { signRevocations } from "../../kernel/mandate/mandate-revocations.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import { callOf, type GatewayBench, ofKind, readStream } from "../support/gateway-run.ts";
import { firstMandate, MANDATE_ROOT, mandateSigner, nextMandate } from "../support/mandates.ts";
import { bundleFiles } from "../support/policy-request.ts";

const benches = gatewayBenches("mandate register");
const ROOT = { issuer: MANDATE_ROOT.issuer, name: MANDATE_ROOT.name, key: formatPublicKey(MANDATE_ROOT.key) };
const OTHER = { issuer: "local", name: "carol", key: formatPublicKey(mandateSigner(0x71).publicKey) };
const [ALICE, PLANNER] = [mandateSigner(0x61), mandateSigner(0x62)];
const LISTS = ["alice.list", "planner.list"];
const RULES = `
@id("all") permit (principal, action, resource);
@id("ask") @decision("require-approval") @ttl("10m") forbid (principal, action == Mcp::Action::"s/wipe", resource);
`;
const RITA: Operator = { issuer: "operator", name: "rita", evidence: "authenticated", roles: [] };

interface Bench extends GatewayBench {
  readonly files: Map<string, Uint8Array>;
  /** Two hops from alice over the planner to the agent, valid for an hour. */
  readonly chain: readonly Uint8Array[];
  readonly list: (version: number, mandates: readonly Uint8Array[], signer?: typeof ALICE) => Uint8Array;
}

function make(mandates: JsonObject = { roots: [ROOT], revocation_files: LISTS }): Bench {
  const files = new Map<string, Uint8Array>();
  const readFile = (path: string): Uint8Array => {
    const bytes = files.get(path);
    if (bytes === undefined) throw new Error(`no file ${path}`);
    return bytes;
  };
  const config = { auth: { tokens: [{ principal: "example-agent", token_file: "unused" }], mandates } };
  const bench = benches.make({ policyFiles: bundleFiles(RULES), config, options: { readFile } });
  const now = bench.world.world.nowMs();
  const times = { not_before: formatTimestamp(now - 1_000), not_after: formatTimestamp(now + 3_600_000) };
  const scope = { scope: { tools: ["s/*"], resources: [] } };
  const first = firstMandate({ ...times, ...scope });
  const list: Bench["list"] = (version, revoked, signer = ALICE) =>
    signRevocations(
      version,
      revoked.map((one) => ({ mandate: parseMandate(one).hash, not_after: times.not_after })),
      signer,
    );
  files.set("alice.list", list(1, []));
  files.set("planner.list", list(1, [], PLANNER));
  return { ...bench, files, list, chain: [first, nextMandate(first, { ...times, ...scope })] };
}

function carrying(chain: readonly Uint8Array[], tool = "echo"): InboundCall {
  const call = callOf(tool, tool === "wipe" ? { path: "/tmp" } : { message: "hello" });
  const meta: JsonValue = chain.length === 0 ? {} : { "countersign/mandates": chain.map(parseUtf8) };
  return { ...call, params: { ...call.params, _meta: meta } };
}

const reasonOf = (decided: Decided): string => (decided.action === "refuse" ? decided.refusal.reason : decided.action);
const decide = async (run: GatewayRun, call: InboundCall): Promise<string> => reasonOf(await run.pipeline.decide(call));
const actionsOf = async (bench: Bench, run: GatewayRun) =>
  ofKind(await readStream(bench.folder, run.status().stream), "operator-action");

describe("a mandate that is taken back", () => {
  it("is refused from the receipt of the list on, which names the list by its digest", async () => {
    const bench = make();
    const run = await benches.open(bench);
    expect(await decide(run, carrying(bench.chain))).toBe("forward");
    const list = bench.list(2, bench.chain.slice(1), PLANNER);
    bench.files.set("planner.list", list);
    await bench.world.advance(60_000, 60_000);
    await run.switches.mandates?.reload(undefined);
    expect(await decide(run, carrying(bench.chain))).toBe("delegation.revoked");
    const stream = await readStream(bench.folder, run.status().stream);
    const [forward, refused] = ofKind(stream, "decision");
    const told = ofKind(stream, "operator-action").find(
      ({ target }) => target.type === "mandates" && target.file === digestFile(list),
    );
    expect(told).toMatchObject({
      action: "mandates-revoked",
      reason: "delegation.revoked",
      target: { version: 2, count: 1 },
    });
    expect((forward?.seq ?? 0) < (told?.seq ?? 0) && (told?.seq ?? 0) < (refused?.seq ?? 0)).toBe(true);
    expect(refused).toMatchObject({
      ruling: { action: "refuse", step: "identity", reasons: ["delegation.revoked"] },
      delegation: { state: "not_established", reason: "delegation.revoked" },
    });
  });

  it("takes back all that was derived from it, by the key that issued it or one before, and by no other", async () => {
    const bench = make();
    const run = await benches.open(bench);
    bench.files.set("planner.list", bench.list(2, bench.chain.slice(0, 1), PLANNER));
    expect(await run.switches.mandates?.reload(RITA)).toEqual({ changed: 1 });
    expect(await decide(run, carrying(bench.chain))).toBe("forward");
    bench.files.set("alice.list", bench.list(2, bench.chain.slice(0, 1)));
    expect(await run.switches.mandates?.reload(RITA)).toEqual({ changed: 1 });
    expect(await decide(run, carrying(bench.chain))).toBe("delegation.revoked");
    expect(await run.switches.mandates?.reload(RITA)).toEqual({ changed: 0 });
    expect((await actionsOf(bench, run)).at(-1)).toMatchObject({ evidence: { value: "authenticated" } });
  });

  it("stays taken back: an older list, one that forgets it, and a damaged one change nothing", async () => {
    const bench = make();
    const run = await benches.open(bench);
    const good = bench.list(5, bench.chain.slice(0, 1));
    bench.files.set("alice.list", good);
    await run.switches.mandates?.reload(undefined);
    const before = (await actionsOf(bench, run)).length;
    const bad: readonly Uint8Array[] = [
      bench.list(4, bench.chain.slice(0, 1)),
      bench.list(5, bench.chain),
      bench.list(6, bench.chain.slice(1)),
      formatUtf8("{}"),
      good.map((byte, at) => (at === 40 ? byte ^ 1 : byte)),
    ];
    for (const bytes of bad) {
      bench.files.set("alice.list", bytes);
      await expect(run.switches.mandates?.reload(undefined)).rejects.toHaveProperty("code");
      expect(await decide(run, carrying(bench.chain))).toBe("delegation.revoked");
    }
    bench.files.delete("alice.list");
    await expect(run.switches.mandates?.reload(undefined)).rejects.toThrow();
    expect(await decide(run, carrying(bench.chain))).toBe("delegation.revoked");
    expect((await actionsOf(bench, run)).length).toBe(before);
  });

  it("stays taken back over a restart, which takes no older list, and where the list is not named any more", async () => {
    const bench = make();
    const first = await bench.open();
    bench.files.set("alice.list", bench.list(3, bench.chain.slice(0, 1)));
    await first.switches.mandates?.reload(undefined);
    await first.close();
    bench.files.set("alice.list", bench.list(2, []));
    await expect(bench.open()).rejects.toMatchObject({ code: "ERR_MANDATE_LIST" });
    bench.files.set("alice.list", bench.list(1, [], mandateSigner(0x72)));
    const other = await benches.open(bench);
    expect(await decide(other, carrying(bench.chain))).toBe("delegation.revoked");
  });

  it("ends the approvals of calls that rest on it, granted or not, each with a receipt", async () => {
    const bench = make();
    const run = await benches.open(bench);
    const idOf = async (): Promise<string> => {
      const held = await run.pipeline.decide(carrying(bench.chain, "wipe"));
      return held.action === "refuse" ? String(held.refusal.data?.["approvalId"]) : held.action;
    };
    const id = await idOf();
    await run.switches.approvals.decide(id, "grant", RITA);
    const waiting = run.switches.approvals.untilDecided(id, 50_000, new AbortController().signal);
    bench.files.set("alice.list", bench.list(2, bench.chain.slice(0, 1)));
    await run.switches.mandates?.reload(undefined);
    expect(await waiting).toBe(true);
    expect(run.switches.approvals.show(id, RITA)).toMatchObject({ state: "refused" });
    const last = (await actionsOf(bench, run)).at(-1);
    expect(last).toMatchObject({ action: "approval-refused", by: { state: "absent" }, reason: "delegation.revoked" });
    expect(await decide(run, carrying(bench.chain, "wipe"))).toBe("delegation.revoked");
    const resumed = { ...carrying(bench.chain, "wipe"), approval: { id, seq: 1 } };
    expect(await decide(run, resumed)).toBe("delegation.revoked");
  });

  it("does not lend its approval to the same call without it", async () => {
    const bench = make();
    const run = await benches.open(bench);
    const held = await run.pipeline.decide(carrying(bench.chain, "wipe"));
    const id = held.action === "refuse" ? String(held.refusal.data?.["approvalId"]) : "";
    await run.switches.approvals.decide(id, "grant", RITA);
    expect(await decide(run, carrying([], "wipe"))).toBe("approval.mismatch");
  });
});

describe("the roots", () => {
  const file = (version: number, ...roots: readonly JsonObject[]): Uint8Array =>
    formatUtf8(JSON.stringify({ v: 1, version, roots }));
  const made = (): Bench => {
    const bench = make({ roots_file: "roots.json", required: true });
    bench.files.set("roots.json", file(1, ROOT));
    return bench;
  };

  it("come and go without a restart, each change with a receipt", async () => {
    const bench = made();
    const run = await benches.open(bench);
    expect(await decide(run, carrying(bench.chain))).toBe("forward");
    bench.files.set("roots.json", file(2, OTHER));
    await run.switches.mandates?.reload(undefined);
    expect(await decide(run, carrying(bench.chain))).toBe("delegation.untrusted");
    bench.files.set("roots.json", file(3, OTHER, ROOT));
    await run.switches.mandates?.reload(undefined);
    expect(await decide(run, carrying(bench.chain))).toBe("forward");
    const told = (await actionsOf(bench, run)).map(({ action, target, reason }) => [
      action,
      target.type === "mandates" ? target.version : 0,
      reason,
    ]);
    expect(told).toEqual([1, 2, 3].map((version) => ["mandate-roots-loaded", version, "delegation.roots"]));
  });

  it("go no way back: not by a lower version, not by another text of the same one, not over a restart", async () => {
    const bench = made();
    const first = await bench.open();
    bench.files.set("roots.json", file(4, OTHER));
    await first.switches.mandates?.reload(undefined);
    for (const bytes of [file(3, ROOT), file(4, ROOT), file(5), formatUtf8("[]")]) {
      bench.files.set("roots.json", bytes);
      await expect(first.switches.mandates?.reload(undefined)).rejects.toHaveProperty("code");
      expect(await decide(first, carrying(bench.chain))).toBe("delegation.untrusted");
    }
    await first.close();
    bench.files.set("roots.json", file(3, ROOT));
    await expect(bench.open()).rejects.toMatchObject({ code: "ERR_MANDATE_LIST" });
  });

  it("that change who a key stands for leave no chain from before: it is another principal's", async () => {
    const bench = made();
    const run = await benches.open(bench);
    bench.files.set("roots.json", file(2, { ...ROOT, name: "mallory" }));
    await run.switches.mandates?.reload(undefined);
    expect(await decide(run, carrying(bench.chain))).toBe("forward");
    const before = ofKind(await readStream(bench.folder, run.status().stream), "decision").at(-1);
    expect(before?.delegation.state).toBe("present");
  });
});
