/** The end of an epoch: everything that was told to anybody against what the folder holds. */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { equalBytes } from "../../kernel/bytes.ts";
import { formatHex, parseHex } from "../../kernel/hex.ts";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import { hashLeaf, parseRootHash } from "../../kernel/merkle/hash.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { checkDataFolder } from "../../ledger/fsck/fsck.ts";
import { checkChain, ofKind, readStreamFiles } from "../support/gateway-run.ts";
import { readEntries, readPublished } from "../support/ledger-reader.ts";
import { eventually } from "../support/ledger-service.ts";
import { expectThat } from "./client.ts";
import type { LogKind } from "./steps.ts";

/** What is checked. */
export interface EndOfEpoch {
  readonly folder: string;
  readonly kind: LogKind;
  readonly url: string;
  readonly policy: string;
  /** Root by size of every signed checkpoint that anybody saw. */
  readonly roots: ReadonlyMap<bigint, string>;
  readonly writers: readonly { readonly check: (entries: readonly Uint8Array[]) => void }[];
  /** What the gateway told of its calls. */
  readonly calls: readonly { readonly state: string; readonly seq: number }[];
  /** Ends the ledger in an orderly way. */
  readonly stop: () => Promise<void>;
}

/** @returns the size of the log @throws Error naming what does not hold */
export async function checkAll(end: EndOfEpoch): Promise<bigint> {
  const largest = [...end.roots.keys()].reduce((most, size) => (size > most ? size : most), 1n);
  // What the log alone has signed is published with the next round of witnesses.
  const published = await eventually(async () => {
    const checkpoint = (await readPublished(end.url, end.policy))?.checkpoint;
    return checkpoint !== undefined && checkpoint.size >= largest ? checkpoint : undefined;
  });
  const entries = await readEntries(end.url, published.size);
  for (const writer of end.writers) writer.check(entries);
  checkRoots(entries, new Map([...end.roots, [published.size, formatHex(published.root)]]));
  if (end.kind === "receipts") await checkGateway(end, entries);
  await end.stop();
  await checkFolder(end);
  return published.size;
}

/** Every checkpoint that was seen is a prefix of the final log. */
function checkRoots(entries: readonly Uint8Array[], roots: ReadonlyMap<bigint, string>): void {
  const range = CompactRange.empty();
  let found = 0;
  for (const entry of entries) {
    range.append(hashLeaf(entry));
    const root = roots.get(range.size);
    if (root === undefined) continue;
    expectThat(formatHex(range.root()) === root, `the entries give another root for size ${range.size}`);
    found += 1;
  }
  expectThat(found === roots.size, `${roots.size - found} checkpoints are larger than the log`);
}

/** The gateway's stream is in the log, once and in order; what was dispatched was decided, what was answered has an outcome. */
async function checkGateway({ folder, calls }: EndOfEpoch, entries: readonly Uint8Array[]): Promise<void> {
  const dataDir = join(folder, "gateway");
  const [stream, ...more] = (await readdir(join(dataDir, "streams"))).filter((name) => /^[0-9a-f]{64}$/.test(name));
  expectThat(stream !== undefined && more.length === 0, "the gateway kept its stream");
  const own = await readStreamFiles(join(dataDir, "streams", stream));
  const receipts = checkChain(own);
  const decisions = new Set(ofKind(receipts, "decision").map(({ seq }) => seq));
  const outcomes = ofKind(receipts, "outcome").map(({ call }) => call.decision_seq);
  expectThat(outcomes.length === decisions.size, `${decisions.size} decisions, ${outcomes.length} outcomes`);
  const ended = new Set(outcomes);
  for (const { state, seq } of calls) {
    expectThat(decisions.has(seq), `call ${seq} was dispatched without a decision`);
    expectThat(state !== "answered" || ended.has(seq), `call ${seq} was answered without an outcome`);
  }
  const known = new Set(own.map((bytes) => formatHex(hashLeaf(bytes))));
  const found = entries.filter((entry) => known.has(formatHex(hashLeaf(entry))));
  expectThat(found.length === own.length, `${own.length} receipts of the gateway, ${found.length} in the log`);
  expectThat(
    found.every((entry, i) => equalBytes(entry, own[i] ?? new Uint8Array(0))),
    "the gateway's receipts are not in order",
  );
}

/** fsck of the ledger's folder, with every checkpoint that anybody saw as a claim. */
async function checkFolder({ folder, policy, roots }: EndOfEpoch): Promise<void> {
  const claims = [...roots].map(([size, root]) => ({
    path: `seen-${size}`,
    name: `the checkpoint of size ${size} that was seen`,
    size,
    root: parseRootHash(parseHex(root)),
  }));
  const options = { dataDir: join(folder, "ledger"), policy: parseWitnessPolicy(policy), claims, workers: 0 };
  const { findings } = await checkDataFolder(options);
  const [fault] = findings.faults;
  expectThat(fault === undefined, `fsck: ${fault?.path}: ${fault?.code} ${fault?.message} (${findings.count} faults)`);
}
