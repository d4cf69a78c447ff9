/** Bounds that no caller can break: a receipt always fits into an entry, and a caller has so many sessions and no more. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { withoutPlaces } from "../../gateway/pipeline/fit-receipt.ts";
import type { DecisionFields, OutcomeFields, Stages } from "../../gateway/pipeline/stage.ts";
import { type BundleFile, parseBundle } from "../../gateway/policy/bundle.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { linkOf } from "../../kernel/receipt/delegation.ts";
import { FINDING_CODES } from "../../kernel/receipt/findings.ts";
import type { Delegation, DelegationHop } from "../../kernel/receipt/identity.ts";
import type { Finding, ValueMatch } from "../../kernel/receipt/inspection.ts";
import { present } from "../../kernel/receipt/observed.ts";
import { MAX_RECEIPT_BYTES, signReceipt } from "../../kernel/receipt/receipt.ts";
import { OPENED_MEMBERS } from "../../kernel/receipt/vocabulary.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { codeOf } from "../support/code-of.ts";
import { fullReceiptBodies } from "../support/full-receipts.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import {
  CALLER,
  callOf,
  type GatewayBench,
  ofKind,
  outcomeWith,
  readStream,
  runCall,
  SESSION,
} from "../support/gateway-run.ts";
import { gatewayKeys } from "../support/receipts.ts";

const benches = gatewayBenches("receipt-bounds");

const RULES = Object.keys(FINDING_CODES).sort();
const LONG = `/${"a".repeat(64)}`.repeat(16);
const MOST = 64;

/** The most that inspection and flow can say: as many places as there may be, each as long as it may be. */
function mostFound(): Required<Pick<DecisionFields, "inspection" | "matches" | "taint" | "edges">> {
  const places = Array.from({ length: MOST }, (_, i) => `${LONG.slice(0, -3)}${String(i).padStart(3, "0")}`);
  const findings = places.map((pointer, i): Finding => {
    return { rule: ruleAt(i % 3), severity: "block", pointer, count: i + 1 };
  });
  const items = places.map((pointer, i): ValueMatch => ({ source: 1, pointer, kind: "exact", count: 2 * i + 1 }));
  const labels = Array.from({ length: 32 }, (_, i) => `l${String(i).padStart(31, "0")}`);
  return {
    inspection: present({ inspector: "1", findings, uninspected_bytes: 7 }),
    matches: present({ items, bounded: true }),
    taint: present({ before: labels, after: labels, sources: labels.map((label) => ({ label, seq: 1 })) }),
    edges: present(labels.map((label) => ({ source: 1, kind: "match", from: label, to: label }))),
  };
}

function ruleAt(index: number): Finding["rule"] {
  const rule = RULES[index];
  if (rule === undefined || !isRule(rule)) throw new Error("no such rule");
  return rule;
}

function isRule(text: string): text is keyof typeof FINDING_CODES {
  return Object.hasOwn(FINDING_CODES, text);
}

/** The longest chain that may be: eight hops of 32 tools whose names are as long as names may be. */
function mostDelegated(): Delegation {
  const name = (i: number): string => String(i).padStart(128, "t");
  const tools = Array.from({ length: 32 }, (_, i) => `${"s".repeat(24)}/${name(i)}`);
  const resources = Array.from({ length: 32 }, (_, i) => hexOf(i));
  const hops: DelegationHop[] = [];
  for (let depth = 7; depth >= 0; depth -= 1) {
    const scope = { tools, resources, not_after: formatTimestamp(1_800_000_000_000), depth };
    const hop = { delegator: hexOf(depth + 1), delegate: hexOf(depth), scope };
    hops.push({ ...hop, link: linkOf(hop, hops.at(-1)?.link ?? null) });
  }
  return { hops, correlation: hexOf(99) };
}

const hexOf = (byte: number): string => byte.toString(16).padStart(2, "0").repeat(32);

/** Names of the members whose messages a file of payloads holds (gateway/vault/payload-store.ts). */
function membersIn(path: string): readonly string[] {
  const content = readFileSync(path);
  const members: string[] = [];
  for (let at = 0; at < content.length; at += 23 + content.readUInt32BE(at)) {
    members.push(OPENED_MEMBERS[content.readUInt8(at + 10)] ?? "");
  }
  return members;
}

const withFields =
  (fields: DecisionFields, outcome: OutcomeFields = {}) =>
  (stages: Stages): Stages => ({
    ...stages,
    request: [...stages.request, { name: "most", begin: () => () => ({ fields }) }],
    respond: [
      ...stages.respond,
      { name: "most", settle: (ended) => ({ outcome: ended.outcome, look: () => outcome }) },
    ],
  });

function benchWith(fields: DecisionFields, outcome: OutcomeFields = {}): GatewayBench {
  return benches.make({
    mode: "silent",
    options: { wrapStages: withFields(fields, outcome) },
    config: { limits: { calls_in_flight: { principal: 1 } } },
  });
}

const receiptsOf = (bench: GatewayBench, run: GatewayRun) => readStream(bench.folder, run.status().stream);

describe("a receipt", () => {
  it("with the most of everything that can be found gives up places, and every count stays exact", async () => {
    const found = mostFound();
    const bench = benchWith(found, found);
    const run = await benches.open(bench);
    expect(await runCall(run, callOf("echo", { message: "x" }))).toBe("forward");
    const receipts = await receiptsOf(bench, run);
    for (const receipt of [...ofKind(receipts, "decision"), ...ofKind(receipts, "outcome")]) {
      const { inspection, matches, taint } = receipt;
      if (inspection.state !== "present" || matches.state !== "present") throw new Error("left out");
      expect(inspection.value.findings.map(({ pointer }) => pointer)).toEqual(["", "", ""]);
      expect(sum(inspection.value.findings)).toBe((MOST * (MOST + 1)) / 2);
      expect(matches.value.items).toEqual([{ source: 1, pointer: "", kind: "exact", count: MOST * MOST }]);
      expect(taint).toEqual(found.taint);
    }
    expect(ofKind(receipts, "outcome")).toHaveLength(1);
  });

  it("whose chain of mandates alone is too long refuses the call in every mode, and says so", async () => {
    const bench = benchWith({ ...mostFound(), delegation: present(mostDelegated()) });
    const run = await benches.open(bench);
    for (let i = 0; i < 3; i += 1) {
      // One call may be under way: what is refused gives its place back.
      expect(await run.pipeline.decide(callOf("echo", { message: "x" }))).toMatchObject({
        action: "refuse",
        refusal: { reason: "receipt.too-large" },
      });
    }
    const receipts = await receiptsOf(bench, run);
    expect(ofKind(receipts, "decision")[0]).toMatchObject({
      ruling: { action: "refuse", judgement: "deny", step: "receipt", reasons: ["receipt.too-large"] },
      delegation: { state: "not_established", reason: "receipt.too-large" },
      request_sent: { state: "absent" },
      outcome: { state: "absent" },
    });
    expect(ofKind(receipts, "outcome")).toEqual([]);
    await run.pipeline.sealAll("operator");
    expect(run.status().open_calls).toBe(0);
  });

  it("that was too long for its call keeps what it commits to, and no request that was not sent", async () => {
    const bench = benches.make({
      mode: "silent",
      options: { wrapStages: withFields({ ...mostFound(), delegation: present(mostDelegated()) }) },
      config: { vault: { keep_payloads: true } },
    });
    const run = await benches.open(bench);
    await run.pipeline.decide(callOf("echo", { message: "x" }));
    const [decision] = ofKind(await receiptsOf(bench, run), "decision");
    await run.close();
    const folder = join(bench.folder, "streams", decision?.stream ?? "", "payloads");
    expect(membersIn(join(folder, readdirSync(folder)[0] ?? ""))).toEqual(["request_received", "detail"]);
  });

  it("of a loaded policy has room for as many files, of as long paths, as a bundle may have", () => {
    const filesOf = (count: number, path: (i: number) => string): readonly BundleFile[] => [
      { path: "policy.json", content: formatUtf8('{"version":"1"}') },
      ...Array.from({ length: count }, (_, i) => {
        return { path: path(i), content: formatUtf8(`@id("p${i}") permit (principal, action, resource);`) };
      }),
    ];
    const long = (i: number, length = 128): string => `${"p".repeat(64)}/${String(i).padStart(length - 71, "f")}.cedar`;
    for (const path of [long(1, 129), ".hidden.cedar", "a/.b.cedar", "../a.cedar", "a/b/c/d/e.cedar"]) {
      expect([path, codeOf(() => parseBundle(filesOf(1, () => path)))]).toEqual([path, "ERR_POLICY_BUNDLE"]);
    }
    const { files } = parseBundle(filesOf(255, long));
    const body = fullReceiptBodies().find(({ kind }) => kind === "policy-load");
    if (body?.kind !== "policy-load") throw new Error("want one");
    const sorted = files.toSorted((a, b) => (a.path < b.path ? -1 : 1)).map(({ path, digest }) => ({ path, digest }));
    const { bytes } = signReceipt({ ...body, files: sorted }, [gatewayKeys().receipt]);
    expect(bytes.length).toBeLessThanOrEqual(MAX_RECEIPT_BYTES);
  });

  it("of any kind that has places gives them up once, and no other does", () => {
    for (const body of fullReceiptBodies()) {
      const smaller = withoutPlaces(body);
      if (body.kind !== "decision" && body.kind !== "outcome") expect(smaller).toBeUndefined();
      else if (smaller === undefined) throw new Error("has places");
      else expect(withoutPlaces(smaller)).toBeUndefined();
    }
  });

  it("would be too long in these tests if nothing were done", () => {
    const { inspection, matches } = mostFound();
    expect(formatUtf8(JSON.stringify({ inspection, matches })).length).toBeGreaterThan(MAX_RECEIPT_BYTES);
  });
});

const sum = (items: readonly { readonly count: number }[]): number => items.reduce((all, { count }) => all + count, 0);

describe("sessions of one caller", () => {
  const inSession = (key: string, caller = CALLER): ReturnType<typeof callOf> =>
    callOf("echo", { message: "x" }, { caller, session: { key, source: "traceparent", trust: "inferred" } });
  const other = { ...CALLER, name: "somebody-else" };

  async function opened(): Promise<{ readonly bench: GatewayBench; readonly run: GatewayRun }> {
    const bench = benches.make({ config: { limits: { sessions: { principal: 3 } } } });
    return { bench, run: await benches.open(bench) };
  }

  it("are so many: the one that was used longest ago is sealed for another, and nobody else's", async () => {
    const { bench, run } = await opened();
    expect(await runCall(run, inSession("other", other))).toBe("forward");
    for (const key of ["a", "b", "c", "a", "d", "a", "e"]) {
      expect(await runCall(run, inSession(key))).toBe("forward");
      await bench.world.advance(2_000);
    }
    expect(run.status().sessions).toBe(4);
    const receipts = await receiptsOf(bench, run);
    const opens = ofKind(receipts, "session-open").map(({ session }) => session.id);
    const seals = ofKind(receipts, "session-seal").map(({ session, reason }) => [opens.indexOf(session.id), reason]);
    // In the order of their opening: other, a, b, c, d, e.
    expect(seals).toEqual([
      [2, "idle"],
      [3, "idle"],
    ]);
  });

  it("hold under a flood of invented names, all at once", async () => {
    const { bench, run } = await opened();
    const keys = Array.from({ length: 40 }, (_, i) => `flood-${i}`);
    const done = await Promise.all(keys.map((key) => runCall(run, inSession(key))));
    expect(done.filter((action) => action === "forward")).toHaveLength(3);
    expect(run.status().sessions).toBe(3);
    await bench.world.advance(2_000);
    expect(await runCall(run, inSession("afterwards"))).toBe("forward");
    expect(run.status().sessions).toBe(3);
  });

  it("are refused by name where a call is under way in each of them, until one ends", async () => {
    const { bench, run } = await opened();
    const decided = await Promise.all(["a", "b", "c"].map((key) => run.pipeline.decide(inSession(key))));
    const refused = await run.pipeline.decide(inSession("d"));
    expect(refused).toMatchObject({
      action: "refuse",
      refusal: { rpcCode: -31_006, reason: "limit.sessions", data: { limit: "sessions-principal", budget: 3 } },
    });
    expect(await runCall(run, inSession("a"))).toBe("forward");
    expect(await runCall(run, inSession("d", other))).toBe("forward");
    const [first] = decided;
    if (first?.action !== "forward") throw new Error("not forwarded");
    await run.pipeline.finish(first.ticket, outcomeWith("done"));
    await bench.world.advance(2_000);
    expect(await runCall(run, inSession("d"))).toBe("forward");
    const rulings = ofKind(await receiptsOf(bench, run), "decision").map(({ ruling }) => ruling.reasons[0]);
    expect(rulings.filter((reason) => reason === "limit.sessions")).toHaveLength(1);
    for (const { action, ticket } of decided.slice(1).map(forwarded)) {
      expect(action).toBe("forward");
      await run.pipeline.finish(ticket, outcomeWith("done"));
    }
    await run.pipeline.sealSession(CALLER, SESSION, "ended");
  });
});

function forwarded(decided: Awaited<ReturnType<GatewayRun["pipeline"]["decide"]>>) {
  if (decided.action !== "forward") throw new Error(decided.action);
  return decided;
}
