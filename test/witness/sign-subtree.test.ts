import { beforeAll, describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { subtreeMessage } from "../../kernel/checkpoint/cosignature.ts";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import { asNodeHash, type NodeHash } from "../../kernel/merkle/hash.ts";
import { proveSubtree } from "../../kernel/merkle/prove.ts";
import { verifierOf } from "../../kernel/note/key-verifier.ts";
import { parseSignatureLine } from "../../kernel/note/signed-note.ts";
import type { WitnessAnswer } from "../../witness/answer.ts";
import { formatSignSubtree } from "../../witness/sign-subtree.ts";
import { makeMemoryStateFiles } from "../support/memory-state-files.ts";
import { makeMemoryTree } from "../support/memory-tree.ts";
import { COSIGNERS, listed, type MemoryWitness, openMemoryWitness } from "../support/memory-witness.ts";
import { makeSmallLog } from "../support/small-log.ts";

const SIZE = 21;
const log = makeSmallLog("log.example/a", 1, 40);
const tree = makeMemoryTree(Array.from({ length: 40 }, (_, i) => log.leaf(i)));
const [, pq] = COSIGNERS;
let witness: MemoryWitness;
let note: string;

beforeAll(async () => {
  witness = await openMemoryWitness(makeMemoryStateFiles(), [listed(log)]);
  note = log.checkpoint(SIZE) + (await witness.grow(log, 0, SIZE)).body;
});

function hashOf(start: number, end: number): NodeHash {
  const range = CompactRange.empty(() => undefined);
  for (let i = start; i < end; i += 1) range.append(log.leaf(i));
  return asNodeHash(range.root());
}

async function bodyOf(
  start: number,
  end: number,
  changes: Partial<Parameters<typeof formatSignSubtree>[0]> = {},
): Promise<string> {
  const range = { start: BigInt(start), end: BigInt(end) };
  const proof = await proveSubtree(range.start, range.end, BigInt(SIZE), tree.reader).catch(() => []);
  return formatSignSubtree({ ...range, hash: hashOf(start, Math.max(end, start + 1)), proof, note, ...changes });
}

const ask = (body: string): Promise<WitnessAnswer> => witness.signSubtree(formatUtf8(body));

describe("sign-subtree answers", () => {
  it("400 to what is no request, and to a range that is no subtree of the checkpoint", async () => {
    const good = await bodyOf(8, 13);
    const bodies = [
      "",
      good.replace("subtree 8 13", "subtree 08 13"),
      good.replace("subtree 8 13", "subtree 8"),
      good.replace("subtree 8 13", "subtree 8 13 14"),
      good.replace("subtree", "tree"),
      `subtree 8 13\n${good.slice(good.indexOf("\n\n") + 1)}`,
      good.replace("\n\n", `${"\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".repeat(64)}\n\n`),
      await bodyOf(2, 5),
      await bodyOf(8, 8),
      await bodyOf(16, 22),
      await bodyOf(13, 8),
    ];
    for (const body of bodies) expect((await ask(body)).status, body.slice(0, 30)).toBe(400);
  });

  it("404 to a log that it does not know", async () => {
    const stranger = makeSmallLog("log.example/b", 2, SIZE);
    expect((await ask(await bodyOf(8, 13, { note: stranger.checkpoint(SIZE) }))).status).toBe(404);
  });

  it("403 without its own cosignature by a key that can sign subtrees, and to a false one", async () => {
    expect((await ask(await bodyOf(8, 13, { note: log.checkpoint(SIZE) }))).code).toBe("ERR_WITNESS_COSIGNATURE");
    const onlyEd25519 = note
      .split("\n")
      .filter((line) => !line.includes("witness.example/pq"))
      .join("\n");
    expect((await ask(await bodyOf(8, 13, { note: onlyEd25519 }))).status).toBe(403);
    const moved = note.replace(`\n${SIZE}\n`, `\n${SIZE + 1}\n`);
    expect((await ask(await bodyOf(8, 13, { note: moved }))).status).toBe(403);
  });

  it("422 to a hash or a proof that is not that of the subtree", async () => {
    const wrong: readonly Partial<Parameters<typeof formatSignSubtree>[0]>[] = [
      { hash: hashOf(8, 12) },
      { proof: [] },
      { proof: (await proveSubtree(8n, 13n, BigInt(SIZE), tree.reader)).slice(1) },
      { proof: [...(await proveSubtree(8n, 13n, BigInt(SIZE), tree.reader))].reverse() },
    ];
    for (const changes of wrong) expect((await ask(await bodyOf(8, 13, changes))).status).toBe(422);
  });

  it.each([
    [0, 1],
    [8, 13],
    [16, 21],
    [0, 21],
    [20, 21],
  ])("200 to [%i, %i): one line, time zero, over exactly this subtree", async (start, end) => {
    const { status, body } = await ask(await bodyOf(start, end));
    expect(status).toBe(200);
    const { name, payload } = parseSignatureLine(body);
    if (pq === undefined) throw new Error("no cosigner");
    const statement = { origin: log.origin, start: BigInt(start), end: BigInt(end), hash: hashOf(start, end) };
    const message = subtreeMessage({ cosigner: name, timestampSeconds: 0n, ...statement });
    expect(payload.slice(0, 8)).toEqual(new Uint8Array(8));
    expect(verifierOf(pq.key)(message, payload.slice(8))).toBe(true);
  });

  it("keeps no state: an older checkpoint with its line is as good", async () => {
    const files = makeMemoryStateFiles();
    witness = await openMemoryWitness(files, [listed(log)]);
    note = log.checkpoint(SIZE) + (await witness.grow(log, 0, SIZE)).body;
    await witness.grow(log, SIZE, 40);
    const { syncs } = files;
    expect((await ask(await bodyOf(8, 13))).status).toBe(200);
    expect(files.syncs).toBe(syncs);
  });

  it("503 to a checkpoint with its line above what it recorded: its state is an older copy", async () => {
    witness = await openMemoryWitness(makeMemoryStateFiles(), [listed(log)]);
    expect((await ask(await bodyOf(8, 13))).code).toBe("ERR_WITNESS_ROLLBACK");
  });
});
