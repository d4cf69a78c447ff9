/** `kill -9` of a real ledger process amid submissions, again and again (needs `npm run build`). */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { equalBytes, formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import { checkLogProof, parseLogProof } from "../../kernel/log-proof.ts";
import { hashLeaf, type RootHash } from "../../kernel/merkle/hash.ts";
import { readRoot } from "../../kernel/merkle/prove.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { formatTilePath, type TileRef } from "../../kernel/tile/path.ts";
import { makeTileHashReader } from "../../kernel/tile/tile-reader.ts";
import { openWitnessedCheckpoint, parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { eventually, LEDGER_KEYS, READ, SUBMIT } from "../support/ledger-service.ts";
import { type SpawnedLedger, spawnLedger } from "../support/ledger-spawn.ts";
import { type FakeWitness, startFakeWitness } from "../support/ledger-witness.ts";

const KILLS = 50;
const WRITERS = 16;

interface Head {
  readonly size: bigint;
  readonly root: RootHash;
}

describe("a raw ledger that is killed fifty times amid submissions", () => {
  const acknowledged = new Map<string, number>();
  const heads: Head[] = [];
  const starts: number[] = [];
  let dataDir = "";
  let witness: FakeWitness;
  let policyText = "";

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "countersign-kill-"));
    witness = await startFakeWitness(1);
    const logs = LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}\n`).join("");
    policyText = `${logs}${witness.policyLine}\nquorum w1\n`;
  });
  afterAll(async () => {
    await witness.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  /** Submits until the process is gone; entries without an answer are sent again in the next round. */
  async function write(url: string, name: string): Promise<void> {
    for (let i = 0; ; i += 1) {
      const text = `${name}/${i} ${"x".repeat((i * 37) % 700)}`;
      const response = await fetch(`${url}/add`, { method: "POST", body: text, headers: SUBMIT }).catch(
        () => undefined,
      );
      const index = await response?.text().catch(() => undefined);
      if (index === undefined) return;
      expect(response?.status).toBe(200);
      acknowledged.set(text, Number(index));
    }
  }

  async function readHead(ledger: SpawnedLedger): Promise<Head | undefined> {
    const response = await fetch(`${ledger.url}/checkpoint`);
    if (response.status !== 200) return undefined;
    return openWitnessedCheckpoint(await response.text(), parseWitnessPolicy(policyText)).checkpoint;
  }

  it("loses nothing that it acknowledged and stays one log", async () => {
    for (let round = 0; round < KILLS; round += 1) {
      const ledger = await spawnLedger(dataDir, "raw", policyText);
      starts.push(ledger.startMs);
      const writers = Array.from({ length: WRITERS }, (_, i) => write(ledger.url, `round ${round}/${i}`));
      await new Promise((resolve) => setTimeout(resolve, 20 + ((round * 53) % 400)));
      const head = await readHead(ledger);
      if (head !== undefined) heads.push(head);
      await ledger.kill();
      await Promise.all(writers);
    }
    const ledger = await spawnLedger(dataDir, "raw", policyText);
    const head = await eventually(async () => {
      const found = await readHead(ledger);
      return found !== undefined && found.size > BigInt(Math.max(...acknowledged.values())) ? found : undefined;
    });
    await checkAll(ledger, head);
    await ledger.stop();
    console.log(
      `${KILLS} kills, ${acknowledged.size} entries acknowledged, log of ${head.size}, ${heads.length} checkpoints seen, ` +
        `slowest start ${Math.round(Math.max(...starts))} ms`,
    );
  });

  async function checkAll(ledger: SpawnedLedger, head: Head): Promise<void> {
    const read = async (ref: TileRef): Promise<Uint8Array> => {
      const response = await fetch(`${ledger.url}/${formatTilePath(ref)}`, { headers: READ });
      expect(response.status).toBe(200);
      return new Uint8Array(await response.arrayBuffer());
    };
    for (const { size, root } of [...heads, head]) {
      expect(equalBytes(await readRoot(size, makeTileHashReader(size, read)), root)).toBe(true);
    }
    const entries: string[] = [];
    for (let index = 0n; index * 256n < head.size; index += 1n) {
      const width = Math.min(256, Number(head.size - index * 256n));
      const bundle = parseEntryBundle(await read({ kind: "entries", index, width }), width);
      entries.push(...bundle.map((entry) => Buffer.from(entry).toString()));
    }
    for (const [text, index] of acknowledged) expect(entries[index]).toBe(text);
    expect(new Set(entries).size).toBe(entries.length);
    const [text] = [...acknowledged.keys()].slice(-1);
    const entry = formatUtf8(text ?? "");
    const proof = await fetch(`${ledger.url}/log-proof?leaf=${formatHex(hashLeaf(entry))}`);
    checkLogProof({ proof: parseLogProof(await proof.text()), entry, policy: parseWitnessPolicy(policyText) });
  }
});
