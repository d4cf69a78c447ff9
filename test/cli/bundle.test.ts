import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CollectOptions, collectBundle } from "../../cli/collect.ts";
import type { Command } from "../../cli/command.ts";
import { bundleCommand } from "../../cli/commands/bundle.ts";
import { verifyCommand } from "../../cli/commands/verify.ts";
import { parseBundle } from "../../kernel/bundle.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { digestFile, policyDigest } from "../../kernel/policy-manifest.ts";
import { present } from "../../kernel/receipt/observed.ts";
import type { SignedReceipt } from "../../kernel/receipt/receipt.ts";
import { formatSegment, makeSegment } from "../../kernel/segment.ts";
import { parseTimestamp } from "../../kernel/time.ts";
import { parseTrustPolicy, type TrustPolicyJson } from "../../kernel/trust-policy.ts";
import { verifyBundle } from "../../verifier/verify-bundle.ts";
import {
  beat,
  CATALOG,
  CATALOG_DIGEST,
  decide,
  denied,
  finish,
  LOADS,
  ONE_AND_ONE,
  openSession,
  registrationOf,
  STORY,
  type Step,
  seal,
  sessionId,
  signStream,
  trustOf,
  wordsOf,
} from "../support/evidence.ts";
import {
  eventually,
  LEDGER_KEYS,
  LEDGER_ORIGIN,
  READER_TOKEN,
  removeLedgers,
  SUBMIT,
  startTestLedger,
  type TestLedger,
} from "../support/ledger-service.ts";
import { startFakeWitness } from "../support/ledger-witness.ts";
import { type GatewayKeys, gatewayKeys } from "../support/receipts.ts";
import { recordIo } from "../support/recorded-io.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-bundle-"));
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const VERSION = "2.0.0";
const POLICY_FILES = {
  "policy.json": `{"version":"${VERSION}"}\n`,
  "allow/all.cedar": "permit(principal, action, resource);\n",
};
const POLICY_DIGEST = policyDigest(
  VERSION,
  Object.entries(POLICY_FILES).map(([path, content]) => ({ path, digest: digestFile(content) })),
);

/** The step, under the policy that is on disk here. */
const underPolicy =
  (step: Step): Step =>
  (made) => {
    const content = step(made);
    const policy = { digest: POLICY_DIGEST, version: VERSION, artifact: { state: "absent" } } as const;
    if (content.kind === "decision") return { ...content, policy: present(policy) };
    if (content.kind !== "policy-load") return content;
    const files = Object.entries(POLICY_FILES).map(([path, text]) => ({ path, digest: digestFile(text) }));
    return { ...content, policy, files: files.toSorted((a, b) => (a.path < b.path ? -1 : 1)) };
  };

const ours = gatewayKeys(40);
const others = gatewayKeys(50);
/** Two sessions with receipts 0 to 7 and 9 to 14, and a heartbeat between and behind them. */
const STEPS: readonly Step[] = [
  ...STORY,
  openSession(2),
  decide(0, undefined, 2),
  finish(10),
  decide(1, denied, 2),
  seal(9, ONE_AND_ONE, 2),
  beat,
].map(underPolicy);

let ledger: TestLedger;
let witnesses: Awaited<ReturnType<typeof startFakeWitness>>[];
let witnessPolicy: string;
let made: readonly SignedReceipt[];
let common: Omit<CollectOptions, "firstSeq"> & { readonly policyFolder: string };

beforeAll(async () => {
  witnesses = await Promise.all([1, 2, 3].map((n) => startFakeWitness(n)));
  const lines = witnesses.map(({ policyLine }) => policyLine);
  const quorum = [...lines, "group g 2 w1 w2 w3", "quorum g", ""].join("\n");
  ledger = await startTestLedger({ config: { log_kind: "receipts", witness_policy: quorum } });
  witnessPolicy = [...LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}`), quorum].join("\n");
  made = signStream(ours, STEPS, { home: LEDGER_ORIGIN });
  const foreign = signStream(others, [...LOADS, ...Array.from({ length: 600 }, () => beat)], { home: LEDGER_ORIGIN });
  await register(others);
  await register(ours);
  // Between ours, receipts of another gateway, so that the window lies across entry bundles.
  await submit(ours, made, 0, 4);
  await submit(others, foreign, 0, 300);
  await submit(ours, made, 4, 10);
  await submit(others, foreign, 300, 600);
  await submit(ours, made, 10, made.length);
  const policyFolder = join(folder, "policy");
  for (const [path, text] of Object.entries(POLICY_FILES)) {
    mkdirSync(join(policyFolder, path, ".."), { recursive: true });
    writeFileSync(join(policyFolder, path), text);
  }
  writeFileSync(join(policyFolder, "README.md"), "not a part of the policy");
  common = {
    ledgerUrl: ledger.url,
    readerToken: READER_TOKEN,
    witnessPolicy,
    stream: ours.instance.publicKey.kid,
    policyFolder,
    created: parseTimestamp("2023-11-14T22:14:00.000Z"),
  };
});

afterAll(async () => {
  await removeLedgers([ledger]);
  for (const witness of witnesses) await witness.close();
  rmSync(folder, { recursive: true, force: true });
});

async function register(keys: GatewayKeys): Promise<void> {
  const body = registrationOf(keys, LEDGER_ORIGIN);
  const answer = await ledger.post("/register", body, { ...SUBMIT, "content-type": "application/json" });
  expect(answer.status).toBe(201);
}

async function submit(keys: GatewayKeys, all: readonly SignedReceipt[], from: number, to: number): Promise<void> {
  const receipts = all.slice(from, to).map(({ bytes }) => bytes);
  const prev = all[from - 1]?.hash;
  const parts = { origin: LEDGER_ORIGIN, stream: keys.instance.publicKey.kid, firstSeq: from, receipts };
  const segment = makeSegment({ ...parts, ...(prev === undefined ? {} : { prev }) }, keys.receipt);
  const body = formatSegment(segment, receipts);
  const answer = await ledger.post("/segments", body, { ...SUBMIT, "content-type": "application/x-ndjson" });
  expect(answer.status).toBe(200);
}

function trustJson(): TrustPolicyJson {
  return { ...trustOf(ours.instance.publicKey.kid), logs: [witnessPolicy], policies: [POLICY_DIGEST] };
}

const seqsOf = (bundle: Uint8Array): readonly unknown[] =>
  parseBundle(bundle).logs[0]?.entries.map(({ entry }) => entry["seq"] ?? entry["kind"]) ?? [];

async function run(
  command: Command,
  args: readonly string[],
  terminal = false,
): Promise<{ exit: number; out: string; err: string }> {
  const { io, out, err } = recordIo({ isTerminal: terminal, cwd: folder });
  const exit = await command.run(args, io);
  return { exit, out: out(), err: err() };
}

const codeFrom = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => "accepted",
    (error: unknown) => (error instanceof Error && "code" in error ? error.code : error),
  );

describe("collecting from a real ledger", () => {
  it("gives a whole stream that passes everything, once witnesses have seen it", async () => {
    const catalogFile = file("catalog.json", JSON.stringify(CATALOG, null, 2));
    const bundle = await collectBundle({ ...common, firstSeq: 0, lastSeq: made.length - 1, catalogFile });
    const result = verifyBundle({ bundle, trust: parseTrustPolicy(trustJson()) });
    expect(wordsOf(result)).toEqual({});
    expect(result).toMatchObject({ exit: 0, verified: true });
    expect(parseBundle(bundle).catalogs).toEqual([{ digest: CATALOG_DIGEST, content: CATALOG }]);
    expect(seqsOf(bundle)).toEqual(["registration", ...made.map((_, seq) => seq)]);
  });

  it("gives a later window with the receipts that it depends on, and passes too", async () => {
    const bundle = await collectBundle({ ...common, firstSeq: 9, lastSeq: 13 });
    expect(seqsOf(bundle)).toEqual(["registration", 0, 1, 2, 9, 10, 11, 12, 13]);
    expect(verifyBundle({ bundle, trust: parseTrustPolicy(trustJson()) })).toMatchObject({ exit: 0, verified: true });
  });

  it("finds a session's window by its id", async () => {
    const bundle = await collectBundle({ ...common, session: sessionId(2) });
    expect(parseBundle(bundle).streams).toEqual([{ stream: common.stream, first_seq: 9, last_seq: 13 }]);
    expect(verifyBundle({ bundle, trust: parseTrustPolicy(trustJson()) }).exit).toBe(0);
    expect(await codeFrom(collectBundle({ ...common, session: sessionId(9) }))).toBe("ERR_STREAM_GAP");
  });

  it("goes to the newest witnessed receipt when no end is given", async () => {
    const bundle = await eventually(async () => {
      const found = await collectBundle({ ...common, firstSeq: 3 });
      return seqsOf(found).at(-1) === made.length - 1 ? found : undefined;
    });
    expect(parseBundle(bundle).streams[0]?.first_seq).toBe(3);
  });

  it("refuses what the log does not hold, and files that the receipts do not name", async () => {
    const absent = collectBundle({ ...common, firstSeq: 0, lastSeq: made.length });
    expect(await codeFrom(absent)).toBe("ERR_STREAM_GAP");
    expect(await codeFrom(collectBundle({ ...common, firstSeq: 5, lastSeq: 4 }))).toBe("ERR_STREAM_GAP");
    const policyFolder = join(folder, "other-policy");
    mkdirSync(policyFolder);
    writeFileSync(join(policyFolder, "policy.json"), POLICY_FILES["policy.json"]);
    expect(await codeFrom(collectBundle({ ...common, firstSeq: 0, policyFolder }))).toBe("ERR_POLICY_DIGEST");
    const catalogFile = file("other.json", '{"kind":"catalog"}');
    expect(await codeFrom(collectBundle({ ...common, firstSeq: 0, catalogFile }))).toBe("ERR_CATALOG_DIGEST");
    const nowhere = { ...common, firstSeq: 0, policyFolder: join(folder, "nowhere") };
    expect(await codeFrom(collectBundle(nowhere))).toBe("ERR_FILE_READ");
  });

  it("refuses a checkpoint that its witness policy does not accept, a wrong token, an unknown stream", async () => {
    const strict = witnessPolicy.replace("group g 2 w1 w2 w3", "group g all w1 w2 w3").replace("quorum g", "quorum w9");
    expect(await codeFrom(collectBundle({ ...common, firstSeq: 0, witnessPolicy: strict }))).toBe("ERR_POLICY_NAME");
    const foreign = witnessPolicy.replace(/^log .*\n/gmu, "");
    expect(await codeFrom(collectBundle({ ...common, firstSeq: 0, witnessPolicy: foreign }))).toBe("ERR_ORIGIN");
    const wrong = collectBundle({ ...common, firstSeq: 0, readerToken: "x".repeat(40) });
    expect(await codeFrom(wrong)).toBe("ERR_SERVICE_ANSWER");
    expect(await codeFrom(collectBundle({ ...common, firstSeq: 0, stream: "0".repeat(64) }))).toBe(
      "ERR_SERVICE_ANSWER",
    );
    const nobody = collectBundle({ ...common, firstSeq: 0, ledgerUrl: "http://127.0.0.1:1" });
    expect(await codeFrom(nobody)).toBe("ERR_SERVICE_ANSWER");
  });

  it("writes nothing of what a lying ledger serves: other entries, other tiles, endless answers", async () => {
    const lie = (path: RegExp, change: (bytes: Uint8Array) => Uint8Array): typeof fetch => {
      return async (input, init) => {
        const answer = await fetch(input, init);
        if (!path.test(String(input))) return answer;
        return new Response(Uint8Array.from(change(new Uint8Array(await answer.arrayBuffer()))), {
          status: answer.status,
        });
      };
    };
    const collect = (fetchFrom: typeof fetch): Promise<unknown> =>
      codeFrom(collectBundle({ ...common, firstSeq: 0, lastSeq: 8, fetch: fetchFrom }));
    const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 40 ? byte ^ 1 : byte));
    expect(await collect(lie(/tile\/0\//u, flipped))).toBe("ERR_ROOT_MISMATCH");
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
    const other = (bytes: Uint8Array): Uint8Array =>
      new Uint8Array(Buffer.from(text(bytes).replaceAll('"action":"forward"', '"action":"phantom"'), "latin1"));
    expect(await collect(lie(/tile\/entries/u, other))).not.toBe("accepted");
    expect(await collect(lie(/tile\/entries/u, (bytes) => bytes.slice(1)))).toBe("ERR_SERVICE_ANSWER");
    expect(await collect(lie(/checkpoint/u, () => new Uint8Array(1 << 20)))).toBe("ERR_SERVICE_ANSWER");
    expect(await collect(lie(/streams/u, () => new Uint8Array(0)))).toBe("ERR_SERVICE_ANSWER");
    expect(await collect(lie(/checkpoint/u, flipped))).not.toBe("accepted");
  });

  it("waits for the witnesses, but not for ever", async () => {
    const stale = await (await ledger.get("/checkpoint")).text();
    const tail = signStream(ours, [...STEPS, beat], { home: LEDGER_ORIGIN });
    await submit(ours, tail, made.length, tail.length);
    const stuck: typeof fetch = async (input, init) =>
      String(input).endsWith("/checkpoint") ? new Response(stale) : fetch(input, init);
    const wish = { ...common, firstSeq: 8, lastSeq: made.length };
    expect(await codeFrom(collectBundle({ ...wish, fetch: stuck, waitMs: 1 }))).toBe("ERR_PROOF_LATE");
    expect(seqsOf(await collectBundle(wish)).at(-1)).toBe(made.length);
  });
});

describe("countersign bundle, then countersign verify", () => {
  const paths = (): readonly string[] => [
    ...["--ledger", ledger.url, "--token-file", file("token", `${READER_TOKEN}\n`)],
    ...["--witness-policy", file("witness-policy.txt", witnessPolicy), "--stream", common.stream],
  ];

  it("writes a file that verifies offline, and never over another", async () => {
    const args = [...paths(), "--policy", common.policyFolder, "--session", sessionId(1), "--out", "one.json"];
    const written = await run(bundleCommand, args);
    expect(written).toMatchObject({ exit: 0, err: "" });
    expect(written.out).toContain("one.json");
    const before = readFileSync(join(folder, "one.json"));
    expect(await codeFrom(run(bundleCommand, args))).toBe("ERR_FILE_WRITE");
    expect(readFileSync(join(folder, "one.json"))).toEqual(before);
    const trust = file("trust.json", JSON.stringify(trustJson()));
    const verified = await run(verifyCommand, [join(folder, "one.json"), "--trust", trust]);
    expect(verified.exit).toBe(0);
    expect(verified.out).toContain("Verified: all 16 required obligations pass");
    const json = await run(verifyCommand, [join(folder, "one.json"), "--trust", trust, "--json"]);
    expect(JSON.parse(json.out)).toMatchObject({ kind: "verification-result", exit: 0, verified: true });
  });

  it("draws a progress bar on a terminal and leaves nothing behind when it fails", async () => {
    const args = [...paths(), "--from", "3", "--to", "7", "--out", "two.json"];
    expect((await run(bundleCommand, args, true)).err).toContain("collecting [");
    const failing = [...paths(), "--from", "3", "--to", "9999", "--out", "three.json"];
    expect(await codeFrom(run(bundleCommand, failing))).toBe("ERR_STREAM_GAP");
    expect(readdirSync(folder)).not.toContain("three.json");
  });

  it.each([
    [["--stream", "abc"], "ERR_KID"],
    [["--from", "1", "--session", sessionId(1)], "usage"],
    [["--session", "not-a-uuid"], "ERR_SHAPE"],
    [["--from", "-1"], "usage"],
    [["--from", "01"], "ERR_DECIMAL"],
    [["--from", "18446744073709551615"], "ERR_DECIMAL"],
    [["--ledger", "ftp://example.org"], "usage"],
    [["--unknown"], "usage"],
  ])("refuses %j", async (more, code) => {
    const found = await codeFrom(run(bundleCommand, [...paths(), "--out", "bad.json", ...more]));
    expect(typeof found === "string" ? found : "usage").toBe(code);
    expect(readdirSync(folder)).not.toContain("bad.json");
  });
});
