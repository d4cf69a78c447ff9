/** Disclosure and crypto-erasure: what the vault opens for somebody, and what nobody can open any more. */

import { existsSync } from "node:fs";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { discloseCommand } from "../../cli/commands/disclose.ts";
import { eraseCommand } from "../../cli/commands/erase.ts";
import type { Operator } from "../../gateway/controls/operator.ts";
import type { GatewayRun } from "../../gateway/run.ts";
import { startGateway } from "../../gateway/start.ts";
import { formatBase64 } from "../../kernel/base64.ts";
import { sha256 } from "../../kernel/crypto/node.ts";
import { type DisclosedItem, parseDisclosure } from "../../kernel/disclosure.ts";
import { formatHex } from "../../kernel/hex.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { checkOpening } from "../../kernel/opening.ts";
import type { StreamReceipt } from "../../kernel/receipt/receipt.ts";
import { codeFrom } from "../support/code-of.ts";
import { runInProcess } from "../support/command-io.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import {
  callOf,
  configOf,
  type GatewayBench,
  ofKind,
  outcomeWith,
  readStream,
  runCall,
  SESSION,
} from "../support/gateway-run.ts";
import { callTool } from "../support/modern-call.ts";
import { bundleFiles } from "../support/policy-request.ts";

const benches = gatewayBenches("vault");
const RITA: Operator = { issuer: "operator", name: "rita", evidence: "authenticated", roles: [] };
const CANARY = "canary-7c1f0b52";
const ALL = bundleFiles(`@id("all") permit (principal, action, resource);`);
const KEEP = { vault: { keep_payloads: true } };

const bench = (config: JsonObject = KEEP): GatewayBench => benches.make({ policyFiles: ALL, config });
const call = (message: string, session = "session-1") =>
  callOf("echo", { message }, { session: { ...SESSION, key: session } });
const streamOf = (at: GatewayBench, run: GatewayRun): Promise<readonly StreamReceipt[]> =>
  readStream(at.folder, run.status().stream);
const ask = (run: GatewayRun, seqs: readonly number[], more: JsonObject = {}) =>
  run.switches.vault.disclose(
    {
      receipts: seqs.map((seq) => `${run.status().stream}/${seq}`),
      members: ["request_sent", "response_returned"],
      fields: ["/params/arguments", "/result/content"],
      ...more,
    },
    RITA,
  );
const itemsOf = ({ text }: { readonly text: string }): readonly DisclosedItem[] =>
  parseDisclosure(new TextEncoder().encode(text)).items;

/** True if `text` stands in any file of the folder. */
async function isAnywhere(folder: string, text: string): Promise<boolean> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (entry.isFile() && (await readFile(join(entry.parentPath, entry.name))).includes(text)) return true;
  }
  return false;
}

async function secretAt(at: GatewayBench, run: GatewayRun, seq: number): Promise<Buffer> {
  const block = await readFile(join(at.folder, "streams", run.status().stream, "vault", "00000000"));
  return block.subarray(seq * 32, seq * 32 + 32);
}

describe("a disclosure", () => {
  it("opens the chosen fields of kept messages, and holds against the receipts; its receipt says who and what", async () => {
    const at = bench();
    const run = await benches.open(at);
    await runCall(run, call(CANARY));
    const [decision] = ofKind(await streamOf(at, run), "decision");
    const seq = decision?.seq ?? -1;
    const made = await ask(run, [seq, seq + 1]);
    expect(made).toMatchObject({ opened: 3, erased: 0, not_kept: 0 });
    const items = itemsOf(made);
    expect(
      items.map((item) => item.state === "opened" && item.opening.part === "field" && item.opening.pointer),
    ).toEqual(["/params/arguments/message", "/result/content/0/text", "/result/content/0/type"]);
    const stream = await streamOf(at, run);
    for (const item of items) {
      const receipt = stream[item.seq];
      if (item.state !== "opened" || (receipt?.kind !== "decision" && receipt?.kind !== "outcome"))
        throw new Error("kind");
      const field = receipt.kind === "decision" ? receipt.request_sent : receipt.response_returned;
      if (field.state !== "present") throw new Error("absent");
      checkOpening(field.value, item.opening);
    }
    expect(stream[made.receipt]).toMatchObject({
      kind: "operator-action",
      action: "disclosed",
      evidence: { value: "authenticated" },
      target: {
        tier: 2,
        file: `sha256:${formatHex(sha256(new TextEncoder().encode(made.text)))}`,
        receipts: [{ first: seq, last: seq + 1 }],
      },
    });
    expect(await isAnywhere(at.folder, CANARY)).toBe(false);
    const whole = await ask(run, [seq], { bytes: true });
    expect((await streamOf(at, run))[whole.receipt]).toMatchObject({ target: { tier: 3 } });
  });

  it("takes the message from whoever has it where it was not kept, and no other", async () => {
    const run = await benches.open(bench({}));
    const mine = call(CANARY);
    await runCall(run, mine);
    const seq = run.status().next_seq - 2;
    expect(await ask(run, [seq])).toMatchObject({ opened: 0, not_kept: 1 });
    const given = { members: ["request_sent"], payload: formatBase64(mine.toSend) };
    expect(await ask(run, [seq], given)).toMatchObject({ opened: 1 });
    const other = { ...given, payload: formatBase64(call("another").toSend) };
    expect(await codeFrom(ask(run, [seq], other))).toBe("ERR_OPENING_MISMATCH");
    expect(await codeFrom(ask(run, [seq, seq + 1], given))).toBe("ERR_CONTROL_TARGET");
    expect(await codeFrom(ask(run, [9_999]))).toBe("ERR_NOT_FOUND");
    expect(await codeFrom(ask(run, [seq], { ...given, fields: ["/params/none"] }))).toBe("ERR_OPENING_FIELD");
  });
});

describe("an erasure", () => {
  it("overwrites secrets and messages of a session; the stream stays whole, and a later disclosure says so", async () => {
    const at = bench();
    const run = await benches.open(at);
    await runCall(run, call("first"));
    await runCall(run, call("other", "session-2"));
    const [mine, other] = ofKind(await streamOf(at, run), "decision");
    if (mine?.session.state !== "present" || other === undefined) throw new Error("no session");
    const target = `session:${mine.session.value.id}`;
    const { vault } = run.switches;
    expect(await vault.erase(target, RITA, true)).toEqual({ receipts: 2, open_calls: 0, recorded: [] });
    expect((await secretAt(at, run, mine.seq)).every((byte) => byte === 0)).toBe(false);
    const done = await vault.erase(target, RITA, false);
    expect(done).toMatchObject({ receipts: 2, open_calls: 0 });
    for (const seq of [mine.seq, mine.seq + 1]) {
      expect((await secretAt(at, run, seq)).every((byte) => byte === 0)).toBe(true);
    }
    expect((await secretAt(at, run, other.seq)).every((byte) => byte === 0)).toBe(false);
    expect(await ask(run, [mine.seq, mine.seq + 1])).toMatchObject({ opened: 0, erased: 2 });
    expect(await ask(run, [other.seq])).toMatchObject({ opened: 1, erased: 0 });
    expect(await vault.erase(target, RITA, false)).toEqual({ receipts: 0, open_calls: 0, recorded: [] });
    expect(await runCall(run, call("after"))).toBe("forward");
    const stream = await streamOf(at, run);
    expect(stream[done.recorded[0] ?? -1]).toMatchObject({
      action: "erased",
      by: { value: { issuer: "operator" } },
      target: { type: "erasure", scope: "session", receipts: [{ first: mine.seq, last: mine.seq + 1 }] },
    });
    expect(existsSync(join(at.folder, "erasing.json"))).toBe(false);
  });

  it("overwrites the sealed message in its file, and the bytes with the secret gone open nothing", async () => {
    const at = bench();
    const run = await benches.open(at);
    await runCall(run, call("first"));
    const { stream } = run.status();
    const seq = run.status().next_seq - 2;
    await ask(run, [seq]);
    const path = join(at.folder, "streams", stream, "payloads", "00000000");
    const before = await readFile(path);
    await run.switches.vault.erase(`call:${stream}/${seq + 1}`, RITA, false);
    const after = await readFile(path);
    expect(after.length).toBe(before.length);
    const left = after.filter((byte) => byte !== 0).length;
    // What is left are the frames' lengths, numbers and members.
    expect(left).toBeLessThan(4 * 11);
  });

  it("finds the calls about a data subject by its value, and counts those that have not ended", async () => {
    const servers = [{ id: "s", url: "http://s.example/mcp", data: { subjects: ["/message"] } }];
    const at = bench({ ...KEEP, servers });
    const run = await benches.open(at);
    await runCall(run, call("alice@example.com"));
    await runCall(run, call("bob@example.com"));
    const open = await run.pipeline.decide(call("alice@example.com"));
    const found = await run.switches.vault.erase("data-subject:alice@example.com", RITA, false);
    expect(found).toMatchObject({ receipts: 3, open_calls: 1 });
    if (open.action !== "forward") throw new Error("refused");
    await run.pipeline.finish(open.ticket, outcomeWith("late"));
    expect(await run.switches.vault.erase("data-subject:alice@example.com", RITA, true)).toMatchObject({
      receipts: 1,
    });
    expect(await run.switches.vault.erase("data-subject:carol@example.com", RITA, false)).toMatchObject({
      receipts: 0,
    });
  });

  it("of a call that has not ended takes what its outcome commits to when it is there, also after a restart", async () => {
    for (const isRestarted of [false, true]) {
      const at = bench();
      const first = await at.open();
      const open = await first.pipeline.decide(call(CANARY));
      if (open.action !== "forward") throw new Error("refused");
      const { stream } = first.status();
      const target = `call:${stream}/${open.receipt.seq}`;
      expect(await first.switches.vault.erase(target, RITA, false)).toMatchObject({ receipts: 1, open_calls: 1 });
      await first.pipeline.finish(open.ticket, outcomeWith("late"));
      if (isRestarted) await first.close();
      const run = isRestarted ? await benches.open(at) : first;
      if (!isRestarted) await at.world.advance(61_000, 61_000);
      await run.switches.vault.stop();
      const outcome = ofKind(await streamOf(at, run), "outcome")[0];
      expect((await secretAt(at, run, outcome?.seq ?? -1)).every((byte) => byte === 0)).toBe(true);
      const erased = ofKind(await streamOf(at, run), "operator-action").filter(({ action }) => action === "erased");
      expect(erased).toMatchObject([
        { by: { value: { issuer: "operator" } } },
        { by: { value: { issuer: "operator" } }, target: { receipts: [{ first: outcome?.seq, last: outcome?.seq }] } },
      ]);
      expect(JSON.parse(await readFile(join(at.folder, "erasing-open.json"), "utf8"))).toEqual({ v: 1, owed: [] });
      if (!isRestarted) await run.close();
    }
  });

  it("that a crash cut off is carried out at the next start, with its receipt", async () => {
    const at = bench();
    const first = await at.open();
    await runCall(first, call("first"));
    const { stream } = first.status();
    const seq = first.status().next_seq - 2;
    await first.close();
    const intent = { v: 1, scope: "call", streams: [{ stream, ranges: [{ first: seq, last: seq }] }] };
    await writeFile(join(at.folder, "erasing.json"), JSON.stringify(intent));
    const run = await benches.open(at);
    expect((await secretAt(at, run, seq)).every((byte) => byte === 0)).toBe(true);
    expect(existsSync(join(at.folder, "erasing.json"))).toBe(false);
    const actions = ofKind(await streamOf(at, run), "operator-action");
    expect(actions).toMatchObject([{ action: "erased", by: { state: "absent" }, reason: "vault.retention" }]);
  });

  it("comes by the clock for what is older than the configuration keeps", async () => {
    const at = bench({ vault: { keep_payloads: true, erase_after_days: 2 }, session_ttl_seconds: 31_536_000 });
    const run = await benches.open(at);
    await runCall(run, call("old"));
    const seq = run.status().next_seq - 2;
    await at.world.advance(86_400_000, 3_600_000);
    expect(await ask(run, [seq])).toMatchObject({ opened: 1 });
    await at.world.advance(2 * 86_400_000, 3_600_000);
    await run.switches.vault.stop();
    expect(await ask(run, [seq])).toMatchObject({ opened: 0, erased: 1 });
    const [action] = ofKind(await streamOf(at, run), "operator-action").filter(({ action: word }) => word === "erased");
    expect(action).toMatchObject({ by: { state: "absent" }, reason: "vault.retention", target: { scope: "age" } });
  });

  it("refuses what names nothing", async () => {
    const run = await benches.open(bench());
    for (const text of ["all", "session:1", "call:x/1", "data-subject:", "data-subject-hash:00", "before:", ""]) {
      expect(await codeFrom(run.switches.vault.erase(text, RITA, true))).toMatch(/^ERR_(CONTROL_TARGET|TIME)/u);
    }
  });
});

describe("countersign disclose and countersign erase", () => {
  it("ask a running gateway with an operator's token; without --yes nothing is erased", async () => {
    const at = bench();
    const gateway = await startGateway(at.gatewayOptions);
    benches.later(gateway.close);
    const config = join(at.folder, "gateway.json");
    const token = join(at.folder, "operator.token");
    await writeFile(token, `${at.gatewayOptions.secrets.operatorToken}\n`);
    const port = Number(new URL(gateway.operatorUrl).port);
    await writeFile(
      config,
      JSON.stringify({ ...configOf(at.folder, benches.ledgerUrl(), at.upstreams), operator_listen: { port } }),
    );
    const own = ["--config", config, "--token-file", token];
    const stream = (await readFile(join(at.folder, "current"), "utf8")).trim();
    const out = join(at.folder, "d.json");
    const answer = await callTool(gateway.url, "echo", { message: CANARY });
    const receipt = answer.headers.get("countersign-receipt") ?? "";
    await answer.arrayBuffer();
    const disclose = (seq: string, ...more: readonly string[]) =>
      runInProcess(discloseCommand, ["--receipt", seq, "--member", "request_sent", "--out", out, ...more, ...own]);
    expect((await disclose(`${stream}/0`, "--field", "")).fault).toBe("ERR_SERVICE_ANSWER");
    expect((await disclose(receipt, "--bundle", out, "--field", "")).fault).toBe("usage");
    expect(await disclose(receipt, "--field", "/params/arguments")).toMatchObject({
      exit: 0,
      out: expect.stringContaining("1 opened, 0 erased, 0 not kept"),
    });
    expect(await readFile(out, "utf8")).toContain(CANARY);
    const dry = await runInProcess(eraseCommand, ["before:2100-01-01T00:00:00.000Z", ...own]);
    expect([dry.exit, dry.out]).toEqual([0, expect.stringContaining("--yes erases")]);
    const done = await runInProcess(eraseCommand, ["before:2100-01-01T00:00:00.000Z", "--yes", ...own]);
    expect(done.out).toContain("have lost their secrets");
    await rm(out);
    expect(await disclose(receipt, "--bytes")).toMatchObject({ exit: 2, out: expect.stringContaining("1 erased") });
    const wrong = await fetch(`${gateway.operatorUrl}/vault/erase`, { method: "POST", body: "{}" });
    expect(wrong.status).toBe(401);
  });
});
