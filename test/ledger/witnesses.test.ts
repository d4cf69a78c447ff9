import { cp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { formatCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { makeCosigner, makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import { parseRootHash } from "../../kernel/merkle/hash.ts";
import { formatNote } from "../../kernel/note/signed-note.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import {
  openLogCheckpoint,
  openWitnessedCheckpoint,
  parseWitnessPolicy,
  type WitnessedCheckpoint,
} from "../../kernel/witness-policy.ts";
import { readSlot, SLOT_BYTES } from "../../ledger/storage/head-store.ts";
import {
  errorCode,
  eventually,
  LEDGER_KEYS,
  LEDGER_ORIGIN,
  makeDataDir,
  NO_WITNESSES,
  removeLedgers,
  SUBMIT,
  startTestLedger,
  type TestLedger,
  type TestLedgerOptions,
} from "../support/ledger-service.ts";
import { type Behaviour, conflict, type FakeWitness, honest, startFakeWitness } from "../support/ledger-witness.ts";

const witnesses: FakeWitness[] = [];
const ledgers: TestLedger[] = [];

afterEach(async () => {
  await removeLedgers(ledgers.splice(0));
  for (const witness of witnesses.splice(0)) await witness.close();
});

/** Witnesses with these behaviours, and the policy that wants `quorum` of them. */
async function startWitnesses(behaviours: readonly Behaviour[], quorum: number): Promise<string> {
  for (const [i, behaviour] of behaviours.entries()) witnesses.push(await startFakeWitness(i + 1, behaviour));
  return policyOf(quorum);
}

function policyOf(quorum: number): string {
  const names = witnesses.map((_, i) => `w${i + 1}`).join(" ");
  const logs = LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}\n`).join("");
  return `${logs}${witnesses.map((each) => `${each.policyLine}\n`).join("")}group g ${quorum} ${names}\nquorum g\n`;
}

async function startWith(policy: string, options: TestLedgerOptions = {}): Promise<TestLedger> {
  const ledger = await startTestLedger({ ...options, config: { witness_policy: policy, ...options.config } });
  ledgers.push(ledger);
  return ledger;
}

function published(ledger: TestLedger, policy: string, size = 1): Promise<WitnessedCheckpoint> {
  return eventually(async () => {
    const response = await ledger.get("/checkpoint");
    if (response.status !== 200) return undefined;
    const opened = openWitnessedCheckpoint(await response.text(), parseWitnessPolicy(policy));
    return opened.checkpoint.size >= BigInt(size) ? opened : undefined;
  });
}

function signedBy({ signLine }: ReturnType<typeof makeLogSigner>, text: string): string {
  return formatNote(text, [signLine(text)]);
}

describe("a ledger and its witnesses", () => {
  it("publishes with a quorum, adds the lines of slower witnesses, and sends proofs of growth", async () => {
    const policy = await startWitnesses([honest, honest, honest], 2);
    const ledger = await startWith(policy);
    await published(ledger, policy);
    for (let i = 0; i < 5; i += 1) await ledger.post("/add", `entry ${i}`, SUBMIT);
    const { checkpoint } = await published(ledger, policy, 6);
    expect(checkpoint.size).toBe(6n);
    await eventually(async () => ((await published(ledger, policy, 6)).cosignatures.length === 3 ? true : undefined));
    for (const { submissions } of witnesses) {
      expect(submissions[0]).toMatchObject({ old: 0n, proofLines: 0, size: 1n });
      const grown = submissions.filter(({ old, size }) => old > 0n && old < size);
      expect(grown.length).toBeGreaterThan(0);
      for (const { proofLines } of grown) expect(proofLines).toBeGreaterThan(0);
    }
  });

  it("publishes nothing without a quorum, and gives logged proofs only to those who ask for them", async () => {
    const policy = await startWitnesses([honest, () => ({ status: 500 }), () => undefined], 2);
    const ledger = await startWith(policy, { config: { witness_timeout_ms: 50 } });
    await ledger.post("/add", "entry", SUBMIT);
    await eventually(async () => ((await ledger.get("/checkpoint-logged")).status === 200 ? true : undefined));
    await eventually(async () => (witnesses.every(({ submissions }) => submissions.length > 1) ? true : undefined));
    const checkpoint = await ledger.get("/checkpoint");
    expect([checkpoint.status, await errorCode(checkpoint)]).toEqual([404, "ERR_NOT_PUBLISHED"]);
    const cosigned = await ledger.get("/log-proof/0?wait_ms=20");
    expect([cosigned.status, await errorCode(cosigned)]).toEqual([404, "ERR_ENTRY_UNKNOWN"]);
    const logged = await ledger.get("/log-proof/0?state=logged");
    expect([logged.status, logged.headers.get("countersign-proof-state")]).toEqual([200, "logged"]);
    expect(ledger.lines.some(({ message }) => message === "a witness did not cosign")).toBe(true);
    expect((await ledger.get("/readyz")).status).toBe(200);
  });

  it("learns the recorded size of a witness from its 409, and goes on from there", async () => {
    const policy = await startWitnesses([honest], 1);
    const first = await startWith(policy);
    for (let i = 0; i < 3; i += 1) await first.post("/add", `entry ${i}`, SUBMIT);
    await published(first, policy, 4);
    await first.close();
    const second = await startWith(policy, { dataDir: first.dataDir });
    await second.post("/add", "one more", SUBMIT);
    await published(second, policy, 5);
    const [witness] = witnesses;
    expect(witness?.submissions.some(({ old, size }) => old === 0n && size >= 4n)).toBe(true);
    expect(witness?.submissions.at(-1)).toMatchObject({ old: 4n, size: 5n });
  });

  /** A checkpoint of a larger tree, signed by our log. */
  function largerCheckpoint(size: bigint): string {
    const text = checkpointTextOf(size);
    return formatNote(text, [makeLogSigner(LEDGER_ORIGIN, LEDGER_KEYS[0]?.seed ?? new Uint8Array(32)).signLine(text)]);
  }

  function checkpointTextOf(size: bigint, origin = LEDGER_ORIGIN): string {
    return formatCheckpoint({ origin, size, root: parseRootHash(new Uint8Array(32).fill(1)), extensions: [] });
  }

  it("stops signing for good when a witness shows, under the log's own signature, more than was ever recorded", async () => {
    const policy = await startWitnesses([honest, honest, () => conflict(1_000_000n)], 2);
    const ledger = await startWith(policy);
    await published(ledger, policy);
    for (const witness of witnesses.slice(2)) witness.shown = largerCheckpoint(1_000_000n);
    await ledger.post("/add", "one more", SUBMIT);
    await eventually(async () => ((await ledger.get("/readyz")).status === 503 ? true : undefined));
    expect(await (await ledger.get("/readyz")).json()).toMatchObject({ ready: false, fault: "ERR_WITNESS_AHEAD" });
    const refused = await ledger.post("/add", "entry", SUBMIT);
    expect([refused.status, await errorCode(refused), refused.headers.get("retry-after")]).toEqual([
      503,
      "ERR_LEDGER_STOPPED",
      "1",
    ]);
    expect((await ledger.get("/tile/0/000.p/1")).status).toBe(200);
  });

  const stranger = makeLogSigner(LEDGER_ORIGIN, new Uint8Array(32).fill(98));
  const foreign = makeLogSigner("other.example/log", new Uint8Array(32).fill(98));
  const claims: readonly (readonly [string, () => string | undefined])[] = [
    ["nothing", () => undefined],
    ["text", () => "1000000\n"],
    ["a checkpoint of that size without a signature", () => `${checkpointTextOf(1_000_000n)}\n`],
    ["one that a stranger signed", () => signedBy(stranger, checkpointTextOf(1_000_000n))],
    ["one of another log", () => signedBy(foreign, checkpointTextOf(1_000_000n, "other.example/log"))],
    ["one with a false signature", () => largerCheckpoint(1_000_000n).replace("\n1000000\n", "\n1000001\n")],
    ["one of ours that is no larger than ours", () => largerCheckpoint(1n)],
  ];
  it.each(claims)(
    "goes on when a witness claims a larger size and shows %s, and names it in its status",
    async (_, shown) => {
      const policy = await startWitnesses([honest, () => conflict(1_000_000n)], 1);
      const ledger = await startWith(policy);
      await published(ledger, policy);
      for (const witness of witnesses.slice(1)) witness.shown = shown();
      for (let i = 0; i < 3; i += 1) {
        await ledger.post("/add", `entry ${i}`, SUBMIT);
        await published(ledger, policy, i + 2);
      }
      const liar = witnesses[1];
      await eventually(async () => ((liar?.submissions.length ?? 0) > 1 ? true : undefined));
      const status: unknown = await (await ledger.get("/readyz")).json();
      const named = { url: liar?.url, last_error: expect.stringContaining("above all"), last_success: null };
      expect(status).toMatchObject({ ready: true, witnesses: [{ last_error: null }, named] });
    },
  );

  it("takes the word of witnesses without which there is no quorum, unless they have cosigned in this run", async () => {
    const policy = await startWitnesses([honest, () => conflict(1_000_000n), () => conflict(1_000_000n)], 2);
    const ledger = await startWith(policy);
    await eventually(async () => ((await ledger.get("/readyz")).status === 503 ? true : undefined));
    expect(await (await ledger.get("/readyz")).json()).toMatchObject({ fault: "ERR_WITNESS_AHEAD" });
    for (const witness of witnesses) [witness.behaviour, witness.size] = [honest, 0n];
    const other = await startWith(policy);
    await published(other, policy);
    await eventually(async () => (witnesses.every(({ size }) => size > 0n) ? true : undefined));
    for (const witness of witnesses.slice(1)) witness.behaviour = () => conflict(1_000_000n);
    await other.post("/add", "entry", SUBMIT);
    await eventually(async () => {
      const { witnesses: shown = [] }: { witnesses?: readonly object[] } = Object(
        await (await other.get("/readyz")).json(),
      );
      const failing = shown.filter((each) => "last_error" in each && String(each.last_error).includes("above all"));
      return failing.length === 2 ? true : undefined;
    });
    expect((await other.get("/readyz")).status).toBe(200);
  });

  /** A ledger that stopped, and a copy of its folder from before its last entries. */
  async function stoppedWithOldCopy(policy: string): Promise<{ readonly newest: string; readonly copy: string }> {
    const first = await startWith(policy);
    await published(first, policy);
    await first.close();
    const copy = await makeDataDir();
    await cp(first.dataDir, copy, { recursive: true });
    const second = await startWith(policy, { dataDir: first.dataDir });
    await second.post("/add", "entry", SUBMIT);
    await published(second, policy, 2);
    const newest = await (await second.get("/checkpoint-logged")).text();
    await second.close();
    return { newest, copy };
  }

  /** Sizes of the heads that a folder records. */
  async function headsOf(folder: string): Promise<ReadonlySet<bigint | undefined>> {
    const bytes = await readFile(join(folder, "head"));
    return new Set([0, SLOT_BYTES].map((offset) => readSlot(bytes, offset)?.size));
  }

  it("does not start on an old copy of its folder, nor anew under its name, and signs nothing", async () => {
    const policy = await startWitnesses([honest, honest], 1);
    const { newest, copy } = await stoppedWithOldCopy(policy);
    const start = (dataDir: string): Promise<TestLedger> =>
      startTestLedger({ dataDir, config: { witness_policy: policy } });
    // Without a monitoring path, from the answer to the checkpoint that the copy has published.
    await expect(start(copy)).rejects.toMatchObject({ code: "ERR_WITNESS_AHEAD" });
    expect(await headsOf(copy)).toEqual(new Set([1n]));
    // From the monitoring path alone.
    for (const witness of witnesses) [witness.shown, witness.behaviour] = [newest, () => ({ status: 500 })];
    await expect(start(copy)).rejects.toMatchObject({ code: "ERR_WITNESS_AHEAD" });
    expect(await headsOf(copy)).toEqual(new Set([1n]));
    await rm(copy, { recursive: true });
    await expect(start(copy)).rejects.toMatchObject({ code: "ERR_WITNESS_AHEAD" });
    await expect(readFile(join(copy, "wal/0000000000000001.wal"))).rejects.toThrow();
    await rm(copy, { recursive: true });
  });

  it("does not start when a witness shows another tree under its signature", async () => {
    const policy = await startWitnesses([honest], 1);
    const { newest } = await stoppedWithOldCopy(policy);
    const other = await startWith(NO_WITNESSES);
    await other.post("/add", "another entry", SUBMIT);
    await other.post("/add", "one more", SUBMIT);
    await eventually(async () =>
      (await (await other.get("/checkpoint-logged")).text()).includes("\n3\n") ? true : undefined,
    );
    await other.close();
    for (const witness of witnesses) witness.shown = newest;
    const started = startTestLedger({ dataDir: other.dataDir, config: { witness_policy: policy } });
    await expect(started).rejects.toMatchObject({ code: "ERR_LOG_FORKED" });
  });

  /** Waits a tenth of a second for the witness at `url`, and for others as long as the ledger says. */
  function impatientWith(url: string): typeof fetch {
    return (input, init) =>
      fetch(input, String(input).startsWith(url) ? { ...init, signal: AbortSignal.timeout(100) } : init);
  }

  it("starts without witnesses that are silent, gone or lie on their monitoring path, and logs that they said nothing", async () => {
    const policy = await startWitnesses([honest, () => undefined, honest, honest], 1);
    const [good, ...others] = witnesses.map(({ url }) => url);
    const options = { fetch: impatientWith(others[0] ?? "") };
    const first = await startWith(policy, options);
    await published(first, policy);
    await first.close();
    await witnesses[2]?.close();
    for (const witness of witnesses.slice(3)) witness.shown = "no checkpoint at all\n";
    const second = await startWith(policy, { dataDir: first.dataDir, ...options });
    const silent = second.lines
      .filter(({ message }) => message.startsWith("a witness did not say"))
      .map(({ fields }) => fields);
    expect(silent).toEqual(expect.arrayContaining(others.map((url) => expect.objectContaining({ witness: url }))));
    // The whole question has a bound, which the machine may miss for the good one; there is no other reason.
    const late = { witness: good, reason: "no answer in time" };
    expect(silent).toHaveLength(silent.some((fields) => isDeepStrictEqual(fields, late)) ? 4 : 3);
    await second.post("/add", "entry", SUBMIT);
    await published(second, policy, 2);
  });

  const other = makeCosigner("witness.example/2", 0x04, new Uint8Array(32).fill(99));
  const lies: readonly (readonly [string, Behaviour])[] = [
    ["409 without a body or content type", () => ({ status: 409 })],
    ["409 with an empty body", () => ({ status: 409, contentType: "text/x.tlog.size" })],
    ["409 with a size in another type", () => ({ status: 409, contentType: "text/plain", body: "9999999\n" })],
    ["409 with a size of leading zeros", () => ({ status: 409, contentType: "text/x.tlog.size", body: "0999999\n" })],
    ["409 with a size without LF", () => ({ status: 409, contentType: "text/x.tlog.size", body: "9999999" })],
    ["409 with two lines", () => ({ status: 409, contentType: "text/x.tlog.size", body: "1\n2\n" })],
    ["409 with the size that was sent", ({ old }) => conflict(old)],
    ["200 without a line", () => ({ status: 200, body: "" })],
    ["200 with text", () => ({ status: 200, body: "thank you\n" })],
    ["200 with a line of an unknown key", ({ text }) => ({ status: 200, body: other.cosign(text, 1n) })],
    [
      "200 with a signature over another text",
      ({ text }, { cosigner }) => ({ status: 200, body: cosigner.cosign(text.replace("ledger", "ladder"), 1n) }),
    ],
    ["200 with a megabyte", () => ({ status: 200, body: "x".repeat(1_000_000) })],
    ["302 to somewhere", () => ({ status: 302 })],
    ["403, 404, 422 in turn", (_, { submissions }) => ({ status: [403, 404, 422][submissions.length % 3] ?? 403 })],
  ];
  it.each(lies)("goes on without a witness that answers %s", async (_, lie) => {
    const policy = await startWitnesses([honest, lie], 1);
    const ledger = await startWith(policy);
    await ledger.post("/add", "entry", SUBMIT);
    const { cosignatures } = await published(ledger, policy, 2);
    expect(cosignatures.map(({ witness }) => witness)).toEqual(["w1"]);
    // Another round comes only with growth: the first one may have covered both entries.
    await eventually(async () => {
      await ledger.post("/add", `entry ${performance.now()}`, SUBMIT);
      return (witnesses[1]?.submissions.length ?? 0) > 1 ? true : undefined;
    });
    expect((await ledger.get("/readyz")).status).toBe(200);
  });

  it("does not follow a witness whose recorded size changes with every request", async () => {
    const policy = await startWitnesses([honest, ({ old }) => conflict(old === 1n ? 0n : 1n)], 1);
    const ledger = await startWith(policy);
    await published(ledger, policy);
    expect(witnesses[1]?.submissions.length).toBeGreaterThan(1);
    expect((await ledger.get("/readyz")).status).toBe(200);
  });

  it("is not held up by a slow witness: rounds go on, and its late lines are added", async () => {
    const policy = await startWitnesses([honest, honest, () => undefined], 2);
    const ledger = await startWith(policy, { config: { witness_timeout_ms: 60_000 } });
    for (let i = 0; i < 5; i += 1) {
      await ledger.post("/add", `entry ${i}`, SUBMIT);
      await published(ledger, policy, i + 2);
    }
    expect(witnesses[2]?.submissions).toHaveLength(1);
    await witnesses.pop()?.close();
  });

  it("asks a witness that was busy when a checkpoint was published, though the log does not grow", async () => {
    let answer: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const slow: Behaviour = async (submission, witness) => {
      await held;
      return honest(submission, witness);
    };
    const policy = await startWitnesses([honest, honest, slow], 2);
    const ledger = await startWith(policy, { config: { witness_timeout_ms: 60_000 } });
    await published(ledger, policy);
    await ledger.post("/add", "entry", SUBMIT);
    expect((await published(ledger, policy, 2)).cosignatures.length).toBe(2);
    await eventually(async () => (witnesses[2]?.submissions.length === 1 ? true : undefined));
    answer();
    await eventually(async () => ((await published(ledger, policy, 2)).cosignatures.length === 3 ? true : undefined));
    expect(witnesses.map(({ submissions }) => submissions.map(({ size }) => size))).toEqual([
      [1n, 2n],
      [1n, 2n],
      [1n, 2n],
    ]);
  });

  it("asks again in the same round after a fault that may pass", async () => {
    const policy = await startWitnesses(
      [(submission, witness) => (witness.submissions.length < 3 ? { status: 503 } : honest(submission, witness))],
      1,
    );
    const ledger = await startWith(policy);
    await published(ledger, policy);
    const metrics = await (await ledger.get("/metrics")).text();
    expect(metrics).toContain('result="cosigned"');
    expect(metrics).not.toContain('result="fault"');
  });

  it("tells how each witness has answered, in metadata, readiness and metrics", async () => {
    const policy = await startWitnesses([honest, () => ({ status: 418 })], 1);
    const ledger = await startWith(policy);
    await published(ledger, policy);
    const [good, bad] = witnesses;
    for (const path of ["/metadata", "/readyz"]) {
      const { witnesses: shown }: { witnesses?: unknown } = Object(await (await ledger.get(path)).json());
      expect(shown).toMatchObject([
        { url: good?.url, last_error: null, consecutive_failures: 0, last_success: expect.any(Number) },
        { url: bad?.url, last_error: "status 418", last_success: null, latency_ms: null },
      ]);
    }
    const metrics = await (await ledger.get("/metrics")).text();
    expect(metrics).toContain(`ledger_witness_failures{witness="${good?.url}"} 0`);
    expect(metrics).toMatch(/ledger_witness_failures\{[^}]*\} [1-9]/u);
    expect(metrics).toContain("ledger_published_without_quorum 0");
  });

  it("publishes without a quorum only if the operator set a time, says so, and never goes back", async () => {
    const policy = await startWitnesses([() => ({ status: 500 })], 1);
    const config = { publish_without_quorum_after_seconds: 1 };
    const ledger = await startWith(policy, { config });
    expect((await ledger.get("/checkpoint")).status).toBe(404);
    await ledger.post("/add", "entry", SUBMIT);
    const shown = await eventually(async () => {
      const answer = await ledger.get("/checkpoint");
      return answer.status === 200 ? answer : undefined;
    });
    expect(shown.headers.get("countersign-checkpoint-state")).toBe("logged");
    const { checkpoint } = openLogCheckpoint(
      await shown.text(),
      LEDGER_KEYS.map(({ verifierKey }) => verifierKey),
    );
    expect((await ledger.get("/log-proof/0")).status).toBe(404);
    expect(await (await ledger.get("/readyz")).json()).toMatchObject({
      ready: true,
      degraded: true,
      published_size: 0,
    });
    expect(await (await ledger.get("/metrics")).text()).toContain("ledger_published_without_quorum 1");
    await ledger.close();
    const again = await startWith(policy, { dataDir: ledger.dataDir, config });
    const restarted = await again.get("/checkpoint");
    expect(restarted.headers.get("countersign-checkpoint-state")).toBe("logged");
    expect(
      openLogCheckpoint(
        await restarted.text(),
        LEDGER_KEYS.map(({ verifierKey }) => verifierKey),
      ).checkpoint.size,
    ).toBeGreaterThanOrEqual(checkpoint.size);
    const [witness] = witnesses;
    if (witness === undefined) throw new Error("no witness");
    witness.behaviour = honest;
    await eventually(async () => {
      const state = (await again.get("/checkpoint")).headers.get("countersign-checkpoint-state");
      return state === "cosigned" ? true : undefined;
    });
    await published(again, policy, Number(checkpoint.size));
    expect((await again.get("/log-proof/0")).status).toBe(200);
  });

  it("refuses to start with keys that are not the origin's", async () => {
    const started = startTestLedger({ config: { origin: "other.example/log" } });
    await expect(started).rejects.toMatchObject({ code: "ERR_CONFIG" });
  });
});
