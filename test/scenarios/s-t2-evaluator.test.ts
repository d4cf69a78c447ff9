/** S-T2: the host replaces the evaluator, or writes with stolen keys what no policy decided. */

import { describe, expect, it } from "vitest";
import { sha256 } from "#crypto";
import { parseBundle } from "../../gateway/policy/bundle.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { formatDisclosure, parseDisclosure } from "../../kernel/disclosure.ts";
import { formatHex } from "../../kernel/hex.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { OBLIGATION_IDS } from "../../kernel/obligation.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import { parseReceipt } from "../../kernel/receipt/receipt.ts";
import { codeFrom } from "../support/code-of.ts";
import { wordOf } from "../support/evidence.ts";
import { ofKind } from "../support/gateway-run.ts";
import { bundleFiles } from "../support/policy-request.ts";
import { forgeStream, stealKeys } from "./forged-stream.ts";
import type { EvidenceChange } from "./judged-stream.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { boundToCode } from "./sealed.ts";
import { listeningSockets, unixSockets } from "./socket-table.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const FILES = bundleFiles(PERMIT_ALL);
const APPROVED = digestFile("the code that was approved");

/** A gateway whose artifact seals its code; `measured` gives the digest of the one that runs. */
const startSealed = async (measured: () => string): Promise<Scenario> =>
  open(
    startScenario({
      rules: PERMIT_ALL,
      pinned: ["bank"],
      servers: { bank: { tools: [{ name: "pay" }] } },
      bench: boundToCode({ files: FILES, sealed: APPROVED, measured }),
    }),
  );

describe("S-T2 another evaluator", () => {
  it("does not start under an artifact that seals the approved code", async () => {
    expect(await codeFrom(startSealed(() => digestFile("other code")))).toBe("ERR_ARTIFACT_MISMATCH");
  });

  it("that is put in place of the running one is found on the cycle: every call is denied, U stays 1", async () => {
    let code = APPROVED;
    const scenario = await startSealed(() => code);
    await scenario.call("pay");
    code = digestFile("other code");
    const halted = async (): Promise<number> =>
      ofKind(await scenario.receipts(), "operator-action").filter(({ action }) => action === "safe-state-on").length;
    await expect.poll(halted, { timeout: 30_000 }).toBe(1);
    await scenario.call("pay");
    expect(scenario.server("bank").count()).toBe(1);
    expect((await scenario.decisions()).at(-1)?.ruling.reasons).toContain("measurement.mismatch");
    expect((await scenario.evidence()).hardware).toBe("attestation.software");
  });
});

describe("S-T2 receipts that say allow where the approved policy says deny", () => {
  it("made with stolen software keys pass every other obligation; the hardware's is not established, and decides", async () => {
    const approved = bundleFiles('@id("none") permit (principal, action == Mcp::Action::"bank/read", resource);');
    const { digest, version } = parseBundle(approved);
    const scenario = await open(
      startScenario({ rules: PERMIT_ALL, servers: { bank: { tools: [{ name: "pay" }, { name: "read" }] } } }),
    );
    await scenario.call("pay");
    const forge = (rows: readonly Uint8Array[]): readonly Uint8Array[] => [
      ...rows.slice(0, 1),
      ...forgeStream(stealKeys(scenario.folder, scenario.stream), rows.slice(1), (body) =>
        named(body, digest, version),
      ),
    ];
    const trust = { policies: [digest], require: OBLIGATION_IDS };
    const { words, hardware, result } = await scenario.evidence({ entries: forge, trust });
    expect(words).toEqual({ "policy.files": "policy.not-disclosed" });
    expect(hardware).toBe("attestation.software");
    expect([result.exit, result.verified]).toEqual([2, false]);
  });

  it("are decided again where questions, requests and policy are disclosed: honest ones pass", async () => {
    const { scenario, disclosure } = await startKept();
    const { result } = await scenario.evidence({ isDisclosed: true, isReplayed: true, disclosure });
    expect(result.obligations.at(-1)).toMatchObject({
      id: "policy.replay",
      verdict: "pass",
      detail: "4 of 4 decisions decided again",
    });
  });

  it("fail by name: the approved policy decides the very question otherwise", async () => {
    const { scenario, disclosure } = await startKept();
    const approved = bundleFiles('@id("none") permit (principal, action == Mcp::Action::"bank/read", resource);');
    const { digest, version } = parseBundle(approved);
    const forge = forger(scenario, (body) => named(body, digest, version));
    const files = approved.map(({ path, content }) => ({ path, content: parseUtf8(content) }));
    const { words, result } = await scenario.evidence({
      entries: forge.entries,
      isReplayed: true,
      disclosure: () => forge.disclosure(disclosure),
      trust: { policies: [digest] },
      morePolicies: [{ digest, version, files }],
      isDisclosed: true,
    });
    expect(words["receipt.signature"]).toBeUndefined();
    const found = result.obligations.at(-1);
    expect(found).toMatchObject({ id: "policy.replay", verdict: "fail", code: "ERR_REPLAY_DECISION" });
    expect(JSON.stringify(found)).toContain(`"subject":"${scenario.stream}/`);
  });

  it("fail too where the question was made to fit: it is not the one of its receipt", async () => {
    const { scenario, disclosure } = await startKept();
    const forge = forger(scenario, (body) => {
      if (body["kind"] !== "decision") return body;
      const session = body["session"] as { readonly value: JsonObject };
      return { ...body, session: { ...session, value: { ...session.value, trust: "inferred" } } };
    });
    const { result } = await scenario.evidence({
      entries: forge.entries,
      isDisclosed: true,
      isReplayed: true,
      disclosure: () => forge.disclosure(disclosure),
    });
    expect(result.obligations.at(-1)).toMatchObject({ verdict: "fail", code: "ERR_REPLAY_QUESTION" });
  });

  it("are not decided again where something is missing: each reason has its name", async () => {
    const { scenario, disclosure } = await startKept();
    const requests = parseDisclosure(disclosure).items.filter(({ member }) => member === "request_received");
    const partial = formatDisclosure({ created: parseDisclosure(disclosure).created, items: requests });
    const wordFor = async (change: EvidenceChange): Promise<string> =>
      wordOf((await scenario.evidence(change)).result, "policy.replay");
    const whole = { isDisclosed: true, isReplayed: true, disclosure } as const;
    expect(await wordFor({ ...whole, disclosure: partial })).toBe("replay.inputs-not-disclosed");
    expect(await wordFor({ ...whole, isDisclosed: false })).toBe("replay.policy-not-disclosed");
    expect(await wordFor({ ...whole, more: { catalogs: [] } })).toBe("replay.catalog-not-disclosed");
    expect(await wordFor({ trust: { require: ["policy.replay"] } })).toBe("replay.engine-absent");
    const plain = await open(startScenario({ rules: PERMIT_ALL, servers: { bank: { tools: [{ name: "pay" }] } } }));
    await plain.call("pay");
    const { result } = await plain.evidence({ isDisclosed: true, isReplayed: true });
    expect(wordOf(result, "policy.replay")).toBe("replay.not-committed");
  });
});

describe("S-T2 ways in", () => {
  it("are the two declared listeners, on the loopback: no port and no local socket beside them", async () => {
    const before = { ports: new Set(listeningSockets().map(({ port }) => port)), unix: unixSockets() };
    const scenario = await open(startScenario({ rules: PERMIT_ALL, servers: { bank: { tools: [{ name: "pay" }] } } }));
    const opened = listeningSockets().filter(({ port }) => !before.ports.has(port));
    const portOf = (url: string): number => Number(new URL(url).port);
    const others = [scenario.server("bank").url, scenario.ledgerUrl].map(portOf);
    const own = opened.filter(({ port }) => !others.includes(port));
    expect(own.map(({ port }) => port).sort()).toEqual([scenario.url, scenario.operatorUrl].map(portOf).sort());
    expect(own.every(({ isLoopback }) => isLoopback)).toBe(true);
    expect(unixSockets()).toEqual(before.unix);
    const answer = await fetch(`${scenario.operatorUrl}/status`);
    expect(answer.status).toBe(401);
  });
});

/** A gateway that keeps what it commits to, four calls (one denied), and their questions and requests opened. */
async function startKept(): Promise<{ readonly scenario: Scenario; readonly disclosure: Uint8Array }> {
  const rules = `${PERMIT_ALL} @id("no-cut") forbid (principal, action == Mcp::Action::"bank/cut", resource);`;
  const tools = [{ name: "pay" }, { name: "read" }, { name: "cut" }];
  const config = { vault: { keep_payloads: true } };
  const scenario = await open(startScenario({ rules, config, servers: { bank: { tools }, web: { tools: [] } } }));
  for (const tool of ["pay", "read", "cut", "read"])
    await scenario.call(`bank__${tool}`, { to: `${tool}@example.org` });
  const receipts = (await scenario.decisions()).map(({ stream, seq }) => `${stream}/${seq}`);
  const asked = { receipts, members: ["detail", "request_received"], fields: [], bytes: true };
  const { body } = await scenario.operate("POST", "/vault/disclose", asked);
  return { scenario, disclosure: formatUtf8(isJsonObject(body) ? String(body["text"]) : "") };
}

/** Signs other bodies with stolen keys, and makes a disclosure name the receipts that come of it. */
function forger(
  { folder, stream }: Scenario,
  change: (body: JsonObject) => JsonObject,
): {
  readonly entries: (rows: readonly Uint8Array[]) => readonly Uint8Array[];
  readonly disclosure: (honest: Uint8Array) => Uint8Array;
} {
  const hashes = new Map<number, string>();
  return {
    entries: (rows) => {
      const forged = forgeStream(stealKeys(folder, stream), rows.slice(1), change);
      for (const bytes of forged) hashes.set(parseReceipt(bytes).seq, formatHex(sha256(bytes)));
      return [...rows.slice(0, 1), ...forged];
    },
    disclosure: (honest) => {
      const { created, items } = parseDisclosure(honest);
      return formatDisclosure({
        created,
        items: items.map((item) => ({ ...item, receipt: hashes.get(item.seq) ?? item.receipt })),
      });
    },
  };
}

/** The body with another policy named where a policy is named. */
function named(body: JsonObject, digest: string, version: string): JsonObject {
  const policy = body["policy"] as JsonObject | undefined;
  if (body["kind"] === "policy-load") {
    return { ...body, policy: { ...policy, digest, version } };
  }
  if (policy?.["state"] !== "present") return body;
  return { ...body, policy: { ...policy, value: { ...(policy["value"] as JsonObject), digest, version } } };
}
