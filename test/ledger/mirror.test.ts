import { describe, expect, it } from "vitest";
import { openWitnessedCheckpoint, parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { MirrorStore, type OpenNote } from "../../ledger/mirror/mirror-store.ts";
import { checkMirror, pullOnce } from "../../ledger/mirror/pull.ts";
import { makeUpstream } from "../../ledger/mirror/upstream.ts";
import { type FaultMode, MemoryDisk } from "../support/ledger-memory.ts";
import { policyText } from "../support/log-keys.ts";
import { sampled } from "../support/sweep.ts";
import { answer, LOG_URL, makeTiledLog, type TiledLog } from "../support/tiled-log.ts";

const policy = parseWitnessPolicy(policyText(2));
const openNote: OpenNote = (note) => {
  const { checkpoint } = openWitnessedCheckpoint(note, policy);
  return { size: checkpoint.size, root: checkpoint.root, note };
};
const openStore = (disk: MemoryDisk): Promise<MirrorStore> => MirrorStore.open(disk, openNote);
const log = makeTiledLog(1000);
const fork = makeTiledLog(1000, "forged");

async function pull(disk: MemoryDisk, from: TiledLog, timeoutMs = 5000): Promise<MirrorStore> {
  const store = await openStore(disk);
  const sleep = (): Promise<void> => Promise.resolve();
  const upstream = makeUpstream({ url: `${LOG_URL}/`, fetch: from.fetch, timeoutMs, attempts: 3, sleep });
  await pullOnce({ store, upstream, openNote });
  return store;
}

/** Shows the log at a size, with an answer exchanged, for one action. */
async function shown<T>(size: number, tamper: TiledLog["tamper"], action: () => Promise<T>, of = log): Promise<T> {
  [of.size, of.tamper] = [size, tamper];
  of.asked.length = 0;
  try {
    return await action();
  } finally {
    [of.size, of.tamper] = [1000, undefined];
  }
}

describe("a mirror", () => {
  it("copies a log of any size, whole and verified, and grows with it", async () => {
    const disk = new MemoryDisk();
    for (const size of [0, 1, 255, 256, 257, 511, 600, 600, 768, 1000]) {
      const store = await shown(size, undefined, () => pull(disk, log));
      expect(store.published?.size).toBe(BigInt(size));
      expect(await checkMirror(store)).toBe(BigInt(size));
    }
  });

  it("fetches nothing twice, asks only for what a verified checkpoint requires, and drops partials of full tiles", async () => {
    const disk = new MemoryDisk();
    await shown(600, undefined, () => pull(disk, log));
    expect(disk.paths()).toContain("tile/0/002.p/88");
    await shown(900, undefined, async () => {
      await pull(disk, log);
      expect(log.asked.filter((path) => /^tile\/(?:entries|0)\/00[01]/.test(path))).toEqual([]);
      expect(log.asked.filter((path) => path.includes(".p/")).toSorted()).toEqual([
        "tile/0/003.p/132",
        "tile/1/000.p/3",
        "tile/entries/003.p/132",
      ]);
    });
    expect(
      disk.paths().filter((path) => path.startsWith("tile/0/002.p") || path.startsWith("tile/entries/002.p")),
    ).toEqual([]);
  });

  it("takes the full tile where the log no longer has the partial one", async () => {
    const disk = new MemoryDisk();
    const isPartial = (path: string): boolean => path.startsWith("tile/") && path.includes("002.p/");
    const store = await shown(
      1000,
      (path) => {
        if (path === "checkpoint") return answer(Buffer.from(log.note(600)));
        return isPartial(path) ? new Response("", { status: 404 }) : undefined;
      },
      () => pull(disk, log),
    );
    expect(await checkMirror(store)).toBe(600n);
  });

  it("keeps a checkpoint with more cosignatures of the same size", async () => {
    const disk = new MemoryDisk();
    await shown(300, undefined, () => pull(disk, log));
    const { witnessedNote, checkpointText, witnesses } = await import("../support/log-keys.ts");
    const root = log.tree.roots[300];
    if (root === undefined) throw new Error("no root");
    const all = witnessedNote(checkpointText(300n, root), witnesses);
    const store = await shown(
      300,
      (path) => (path === "checkpoint" ? answer(Buffer.from(all)) : undefined),
      () => pull(disk, log),
    );
    expect(store.published?.note).toBe(all);
  });

  it("tries again what fails in passing, and gives up on what does not", async () => {
    let failures = 2;
    const busy: TiledLog["tamper"] = () => {
      failures -= 1;
      return failures >= 0 ? new Response("", { status: 503 }) : undefined;
    };
    await shown(300, busy, () => pull(new MemoryDisk(), log));
    for (const status of [500, 403]) {
      const refusing: TiledLog["tamper"] = () => new Response("", { status });
      await expect(shown(300, refusing, () => pull(new MemoryDisk(), log))).rejects.toMatchObject({
        code: "ERR_LOG_UNREACHABLE",
      });
    }
  });
});

describe("a mirror of an evil log", () => {
  const evil: readonly (readonly [name: string, code: string, tamper: TiledLog["tamper"]])[] = [
    ["a swapped tile", "ERR_ROOT_MISMATCH", (path) => (path === "tile/0/001" ? hand("tile/0/000") : undefined)],
    ["a truncated tile", "ERR_TILE_LENGTH", (path, bytes) => (path === "tile/0/001" ? cut(bytes, 8191) : undefined)],
    ["a truncated edge", "ERR_TILE_LENGTH", (path, bytes) => (path.includes("0/002.p") ? cut(bytes, 32) : undefined)],
    ["a false edge", "ERR_ROOT_MISMATCH", (path, bytes) => (path.includes("1/000.p") ? flip(bytes) : undefined)],
    [
      "a wrong bundle",
      "ERR_ROOT_MISMATCH",
      (path) => (path === "tile/entries/001" ? hand("tile/entries/000") : undefined),
    ],
    ["a flipped entry", "ERR_ROOT_MISMATCH", (path, bytes) => (path === "tile/entries/000" ? flip(bytes) : undefined)],
    [
      "a truncated bundle",
      "ERR_BUNDLE_LENGTH",
      (path, bytes) => (path === "tile/entries/000" ? cut(bytes, 900) : undefined),
    ],
    [
      "an empty bundle",
      "ERR_BUNDLE_LENGTH",
      (path) => (path === "tile/entries/000" ? answer(new Uint8Array(0)) : undefined),
    ],
    [
      "a missing bundle",
      "ERR_TILE_MISSING",
      (path) => (path === "tile/entries/000" ? new Response("", { status: 404 }) : undefined),
    ],
    [
      "a huge tile",
      "ERR_LOG_UNREACHABLE",
      (path) => (path === "tile/0/000" ? answer(new Uint8Array(100_000)) : undefined),
    ],
    [
      "a huge checkpoint",
      "ERR_LOG_UNREACHABLE",
      (path) => (path === "checkpoint" ? answer(new Uint8Array(200_000)) : undefined),
    ],
    [
      "a checkpoint that nobody cosigned",
      "ERR_QUORUM",
      (path, bytes) => (path === "checkpoint" ? uncosigned(bytes) : undefined),
    ],
    ["a false signature", "ERR_NOTE_SIGNATURE", (path, bytes) => (path === "checkpoint" ? resized(bytes) : undefined)],
  ];

  const hand = async (path: string): Promise<Response> => log.fetch(`${LOG_URL}/${path}`);
  const cut = (bytes: Uint8Array | undefined, length: number): Response =>
    answer((bytes ?? new Uint8Array(0)).subarray(0, length));
  const flip = (bytes: Uint8Array | undefined): Response => {
    const changed = (bytes ?? new Uint8Array(0)).slice();
    changed[20] = (changed[20] ?? 0) ^ 1;
    return answer(changed);
  };
  const textOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();
  const uncosigned = (bytes: Uint8Array | undefined): Response =>
    answer(Buffer.from(textOf(bytes).replaceAll(/— witness.*\n/g, "")));
  const resized = (bytes: Uint8Array | undefined): Response =>
    answer(Buffer.from(textOf(bytes).replace("\n600\n", "\n601\n")));

  it.each(evil)("refuses %s, and shows nothing of it", async (_name, code, tamper) => {
    const disk = new MemoryDisk();
    await expect(shown(600, tamper, () => pull(disk, log))).rejects.toMatchObject({ code });
    for (const path of disk.paths().filter((each) => each.startsWith("tile/"))) {
      expect(
        Buffer.from(disk.file(path) ?? []).equals(
          Buffer.from(await (await log.fetch(`${LOG_URL}/${path}`)).arrayBuffer()),
        ),
      ).toBe(true);
    }
    expect(disk.paths()).not.toContain("checkpoint");
    expect(await checkMirror(await shown(600, undefined, () => pull(disk, log)))).toBe(600n);
  });

  it("gives up on a log that never ends its answer", async () => {
    const slow: TiledLog["tamper"] = () =>
      new Response(new ReadableStream({ pull: () => new Promise(() => undefined) }));
    await expect(shown(300, slow, () => pull(new MemoryDisk(), log, 20))).rejects.toMatchObject({
      code: "ERR_LOG_UNREACHABLE",
    });
  });

  it("refuses a fork of any size, and keeps both signed checkpoints", async () => {
    for (const size of [300, 600, 999]) {
      const disk = new MemoryDisk();
      await shown(300, undefined, () => pull(disk, log));
      const before = disk.paths().filter((path) => !path.startsWith("evidence/"));
      await expect(shown(size, undefined, () => pull(disk, fork), fork)).rejects.toMatchObject({
        code: "ERR_LOG_FORKED",
      });
      const evidence = disk.paths().filter((path) => path.startsWith("evidence/"));
      expect(evidence).toHaveLength(1);
      const text = Buffer.from(disk.file(evidence[0] ?? "") ?? []).toString();
      expect(text).toBe(`${log.note(300)}\n${fork.note(size)}`);
      expect(disk.paths().filter((path) => !path.startsWith("evidence/"))).toEqual(before);
      expect(await checkMirror(await openStore(disk))).toBe(300n);
    }
  });

  it("refuses a log that shrinks", async () => {
    const disk = new MemoryDisk();
    await shown(600, undefined, () => pull(disk, log));
    await expect(shown(300, undefined, () => pull(disk, log))).rejects.toMatchObject({ code: "ERR_LOG_BEHIND" });
    expect((await openStore(disk)).published?.size).toBe(600n);
  });

  it("refuses a log that forks while a pull was interrupted: what became visible binds it", async () => {
    const disk = new MemoryDisk();
    const dies: TiledLog["tamper"] = (path) =>
      path === "tile/entries/001" ? new Response("", { status: 403 }) : undefined;
    await expect(shown(600, dies, () => pull(disk, log))).rejects.toMatchObject({ code: "ERR_LOG_UNREACHABLE" });
    await expect(shown(700, undefined, () => pull(disk, fork), fork)).rejects.toMatchObject({ code: "ERR_LOG_FORKED" });
    expect(await checkMirror(await shown(700, undefined, () => pull(disk, log)))).toBe(700n);
  });
});

describe("a mirror that is killed", () => {
  const modes: readonly FaultMode[] = ["failed", "failed but kept"];
  it.each(modes.flatMap((mode) => (["keep", "lose"] as const).map((crash, i) => [mode, crash, i] as const)))(
    "(%s, then the disk may %s what was not synced) goes on, and never shows a checkpoint that it does not hold whole",
    async (mode, crash, i) => {
      const counting = await freshAt300();
      await shown(800, undefined, () => pull(counting, log));
      for (const step of sampled(counting.steps.keys(), 5, 2 * i + modes.indexOf(mode))) {
        const disk = await freshAt300();
        disk.fault = { step, mode };
        await shown(800, undefined, () => pull(disk, log)).catch(() => undefined);
        const next = disk.crash(crash);
        const store = await openStore(next);
        expect([300n, 800n]).toContain(store.published?.size);
        await checkMirror(store);
        expect(await checkMirror(await shown(900, undefined, () => pull(next, log)))).toBe(900n);
      }
    },
    60_000,
  );
});

async function freshAt300(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await shown(300, undefined, () => pull(disk, log));
  return disk.crash("lose");
}
