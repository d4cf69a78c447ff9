/**
 * Our ledger and our witness against programs that nobody here wrote. `scripts/interop.sh` builds those and runs this:
 *
 *     node dist/test/interop/run.js <folder of the built programs>
 *
 * One line a check; the last line is `N passed, N failed`; exit 1 if one failed.
 */

import { createHash } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { equalBytes } from "../../kernel/bytes.ts";
import { openNote } from "../../kernel/checkpoint/open-note.ts";
import { formatSignerKey, makeSignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import type { RunningService } from "../../kernel/service/service.ts";
import { parseWitnessPolicy, type WitnessedCheckpoint } from "../../kernel/witness-policy.ts";
import { openMirror } from "../../ledger/mirror/run-mirror.ts";
import { originHash } from "../../witness/state-book.ts";
import { readEntries, readPublished } from "../support/ledger-reader.ts";
import { eventually, LEDGER_KEYS, LEDGER_ORIGIN, READER_TOKEN } from "../support/ledger-service.ts";
import { Submitter, segmentOf } from "../support/ledger-submitter.ts";
import { gatewayKeys, makeStream } from "../support/receipts.ts";
import { startDamagingProxy } from "./damaging-proxy.ts";
import { startLitewitness } from "./litewitness.ts";
import { startOmniwitness } from "./omniwitness.ts";
import { type OurWitness, policyLine, startOurLedger, startOurWitness } from "./our-services.ts";
import { Processes, run } from "./processes.ts";

const LIMIT_MS = 240_000;
const LOG_KEY = formatVerifierKey((LEDGER_KEYS[0] ?? fail("no log key")).verifierKey);
/** The log of Tessera that our witness watches. */
const TESSERA_KEY = makeSignerKey("tessera.example/log", 0x01, new Uint8Array(32).fill(78));
const stream = makeStream({ keys: gatewayKeys(10), log: LEDGER_ORIGIN, calls: 400 });

const bin = process.argv[2] ?? fail("want the folder of the built programs");
const work = await mkdtemp(join(tmpdir(), "countersign-interop-"));
const processes = new Processes();
const place = { bin, work, processes };
let [passed, failed] = [0, 0];

function fail(why: string): never {
  throw new Error(why);
}

function want(holds: boolean, what: string): void {
  if (!holds) fail(`want ${what}`);
}

async function check(name: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
    passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The published checkpoint of our ledger once it covers `size` entries, opened under `policy`. */
function published(url: string, policy: string, size: number): Promise<WitnessedCheckpoint> {
  return eventually(async () => {
    const opened = await readPublished(url, policy);
    return opened !== undefined && opened.checkpoint.size >= BigInt(size) ? opened : undefined;
  });
}

async function submit(ledger: RunningService, first: number, end: number): Promise<void> {
  const client = new Submitter(ledger.url);
  await client.open(stream);
  for (let seq = first; seq < end; seq += 100) {
    const answer = await client.segment(segmentOf(stream, seq, Math.min(end, seq + 100)));
    want(answer.status === 200, `200 to a segment, got ${JSON.stringify(answer)}`);
  }
}

/** What the Go program says of the whole log. */
interface Reading {
  readonly size: number;
  readonly entries: number;
  readonly entries_sha256: string;
  readonly signers: readonly string[];
  readonly proofs: number;
}

async function readWithGo(url: string, policy: string): Promise<Reading> {
  const file = join(work, "policy");
  await writeFile(file, policy);
  const line = await run(join(bin, "readlog"), [url, file, LOG_KEY, READER_TOKEN]);
  const reading: Reading = JSON.parse(line);
  return reading;
}

async function audit(url: string): Promise<void> {
  await run(join(bin, "auditlog"), [url, LOG_KEY, READER_TOKEN]);
}

/** A mirror of the log, pulled once. @returns its folder */
async function mirror(url: string, policy: string): Promise<string> {
  const folder = join(work, "mirror");
  const upstream = { url, fetch, timeoutMs: 10_000, attempts: 3, token: READER_TOKEN };
  const opened = await openMirror({ folder, policy: parseWitnessPolicy(policy), logKeys: [], upstream });
  try {
    await opened.pull();
    return folder;
  } finally {
    await opened.close();
  }
}

async function verdictOf(action: Promise<unknown>): Promise<string> {
  return action.then(
    () => "accepted",
    (error: unknown) => String(error).slice(-200),
  );
}

async function checkLedger(witness: OurWitness): Promise<void> {
  const lite = await startLitewitness(place, LEDGER_ORIGIN, LOG_KEY);
  const omni = await startOmniwitness(place, LEDGER_ORIGIN, LOG_KEY);
  const lines = [
    policyLine("lite", lite.vkey, lite.url),
    policyLine("omni", omni.ed25519, omni.url),
    policyLine("ours", witness.key, witness.url),
  ];
  const group = "group every all lite omni ours\nquorum every\n";
  // The Go readers know no policy line of type 0x06.
  const policy = `log ${LOG_KEY}\n${lines.join("\n")}\n${group}`;
  const logPolicy = policy.replace("group", `${policyLine("omni-ml-dsa", omni.mlDsa44, omni.url)}\ngroup`);
  let ledger = await startOurLedger(work, logPolicy);
  let size = 0;
  await check("litewitness and omniwitness cosign our checkpoints, and the quorum wants them", async () => {
    await submit(ledger, 0, 600);
    const { checkpoint, cosignatures } = await published(ledger.url, policy, 602);
    want(
      cosignatures
        .map((each) => each.witness)
        .toSorted()
        .join() === "lite,omni,ours",
      "all cosignatures",
    );
    size = Number(checkpoint.size);
  });
  await check("omniwitness's ML-DSA-44 cosignature is on our checkpoints too", async () => {
    const { cosignatures } = await published(ledger.url, logPolicy, 602);
    want(
      cosignatures.some((each) => each.witness === "omni-ml-dsa"),
      "a line of type 0x06",
    );
  });
  await check("both go on with our log after a restart, from the sizes that their 409 tell", async () => {
    await ledger.close();
    ledger = await startOurLedger(work, logPolicy);
    await submit(ledger, 600, stream.receipts.length);
    const { checkpoint } = await published(ledger.url, policy, stream.receipts.length + 2);
    want(Number(checkpoint.size) > size, "a larger checkpoint");
    size = Number(checkpoint.size);
  });
  await check("x/mod tlog and torchwood read the whole log: tiles, bundles, every inclusion, log proofs", async () => {
    const reading = await readWithGo(ledger.url, policy);
    const entries = await readEntries(ledger.url, BigInt(size));
    const sum = createHash("sha256");
    for (const entry of entries) sum.update(entry).update("\n");
    want(reading.size === size && reading.entries === size, `${size} entries, got ${reading.entries}`);
    want(reading.entries_sha256 === sum.digest("hex"), "the entries that our own reader sees");
    for (const name of [lite.name, omni.ed25519.name]) want(reading.signers.includes(name), `a signature by ${name}`);
    want(reading.proofs > 5, "some log proofs");
    const isThere = stream.receipts.every(({ bytes }, seq) => equalBytes(bytes, entries[seq + 2] ?? new Uint8Array(0)));
    want(isThere, "every receipt of the stream behind genesis and registration, in order");
  });
  await check("the Go reader refuses our log under a policy that wants a witness who did not cosign", async () => {
    const other = makeSignerKey("witness.example/absent", 0x04, new Uint8Array(32).fill(79)).verifierKey;
    const more = policyLine("absent", other, "http://127.0.0.1:1");
    const strict = policy.replace("group every all", `${more}\ngroup every all absent`);
    const verdict = await verdictOf(readWithGo(ledger.url, strict));
    want(/checkpoint: /.test(verdict), `a refusal of the checkpoint, got ${verdict}`);
  });
  await check("Tessera's fsck finds our log whole", () => audit(ledger.url));
  await check("Tessera's fsck reads the files of our mirror, and finds one flipped bit in them", async () => {
    const folder = await mirror(ledger.url, policy);
    await audit(`file://${folder}`);
    const bundle = join(folder, "tile/entries/001");
    const bytes = await readFile(bundle);
    bytes.writeUInt8(bytes.readUInt8(99) ^ 1, 99);
    await chmod(bundle, 0o600);
    await writeFile(bundle, bytes);
    want((await verdictOf(audit(`file://${folder}`))) !== "accepted", "a refusal of a damaged bundle");
  });
  await check("both Go readers refuse our log with one bit of a tile or of a bundle flipped", async () => {
    for (const path of ["/tile/0/001", "/tile/entries/001"]) {
      const proxy = await startDamagingProxy(ledger.url, path);
      const verdicts = [await verdictOf(readWithGo(proxy.url, policy)), await verdictOf(audit(proxy.url))];
      await proxy.close();
      want(!verdicts.includes("accepted"), `two refusals of a damaged ${path}`);
    }
  });
  await ledger.close();
}

async function checkWitness(witness: OurWitness): Promise<void> {
  const policy = join(work, "tessera-policy");
  await writeFile(policy, `${policyLine("ours", witness.key, `${witness.url}/`)}\nquorum ours\n`);
  await check("our witness cosigns the log of a real client: Tessera publishes only with our line", async () => {
    const out = await run(join(bin, "tesseralog"), [join(work, "tessera"), formatSignerKey(TESSERA_KEY), policy]);
    const notes = out
      .trim()
      .split("\n")
      .map((line) => Object(JSON.parse(line)));
    want(notes.length === 4, `4 published checkpoints, got ${notes.length}`);
    for (const { checkpoint } of notes) {
      const { verified } = openNote(String(checkpoint), [TESSERA_KEY.verifierKey, witness.key]);
      want(verified.length === 2, "a line of the log and one of our witness");
    }
    const monitored = await fetch(`${witness.url}/${originHash(TESSERA_KEY.name)}/checkpoint`);
    want((await monitored.text()).split("\n")[1] === "306", "the monitoring path to tell the newest size, 306");
  });
}

const limit = setTimeout(() => {
  console.log(`FAILED  not done within ${LIMIT_MS / 1000} s\n${passed} passed, ${failed + 1} failed`);
  void processes.stopAll().finally(() => process.exit(1));
}, LIMIT_MS);
const logKeys = [...LEDGER_KEYS.slice(0, 1), TESSERA_KEY].map((key) => key.verifierKey);
const witness = await startOurWitness(work, logKeys);
try {
  await checkLedger(witness);
  await checkWitness(witness);
} catch (error) {
  failed += 1;
  console.log(`FAILED  ${error instanceof Error ? error.message : String(error)}`);
} finally {
  clearTimeout(limit);
  await witness.close();
  await processes.stopAll();
  await rm(work, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
