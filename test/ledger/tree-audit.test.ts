import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { hashLeaf, type RootHash } from "../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatTilePath } from "../../kernel/tile/path.ts";
import { Findings } from "../../ledger/fsck/finding.ts";
import type { FoundEntry, Group } from "../../ledger/fsck/log-walk.ts";
import { TreeAudit } from "../../ledger/fsck/tree-audit.ts";
import { EMPTY_EDGE, RightEdge } from "../../ledger/tree/right-edge.ts";
import { sampled } from "../support/sweep.ts";

/** Two full tiles of level 0 more than one full tile of level 1. */
const SIZE = 65_536 + 512 + 3;
const files = new Map<string, Uint8Array>();
const leaves: FoundEntry[] = [];
const roots = new Map<number, RootHash>();
const edge = new RightEdge(EMPTY_EDGE, ({ ref, bytes }) => files.set(formatTilePath(ref), bytes.slice()));
for (let i = 0; i < SIZE; i += 1) {
  const bytes = formatUtf8(`entry ${i}`);
  const leaf = hashLeaf(bytes);
  edge.append(bytes, leaf);
  leaves.push({ bytes, leaf, isSure: false, path: `tile/entries/${Math.floor(i / 256)}`, offset: i % 256 });
  if ([1000, 65_600, 66_047, 66_048, SIZE].includes(i + 1)) roots.set(i + 1, edge.root());
}

/** Audits the log with some tiles and entries replaced, under heads of the given sizes. */
async function audit(options: {
  readonly flipped?: readonly (readonly [path: string, offset: number])[];
  readonly entries?: ReadonlyMap<number, FoundEntry>;
  readonly heads: readonly number[];
  readonly from?: number;
}): Promise<Findings> {
  const findings = new Findings();
  const changed = new Map(files);
  for (const [path, offset] of options.flipped ?? []) {
    const bytes = changed.get(path)?.slice() ?? new Uint8Array(0);
    bytes[offset] = (bytes[offset] ?? 0) ^ 1;
    changed.set(path, bytes);
  }
  const folder = { read: async (path: string) => changed.get(path), list: async () => [], names: [] };
  const claims = options.heads.map((size) => ({
    path: "head",
    name: "the head",
    size: BigInt(size),
    root: roots.get(size) ?? edge.root(),
  }));
  const tree = new TreeAudit(folder, findings, claims);
  for (let start = 0; start < SIZE; start += TILE_WIDTH) {
    const entries = leaves.slice(start, start + TILE_WIDTH).map((entry, i) => options.entries?.get(start + i) ?? entry);
    const group: Group = { index: BigInt(start / TILE_WIDTH), entries, path: "tile/entries/x", isStored: true };
    await tree.take(group);
  }
  tree.finish();
  return findings;
}

const placesOf = ({ faults }: Findings): readonly string[] =>
  faults.map(({ path, offset, index }) => `${path}@${offset ?? "-"}#${index ?? "-"}`);

const other = (i: number): FoundEntry => ({
  ...(leaves[i] ?? { path: "", offset: 0 }),
  bytes: formatUtf8("other"),
  leaf: hashLeaf(formatUtf8("other")),
  isSure: false,
});

describe("the audit of a tree with two levels of tiles", () => {
  it("finds nothing in a sound one, under heads of any size", async () => {
    expect((await audit({ heads: [1000, 65_600, 66_047, 66_048, SIZE] })).count).toBe(0);
  });

  it("names the byte of a tile that the tile above contradicts", async () => {
    expect(placesOf(await audit({ heads: [], flipped: [["tile/0/017", 1000]] }))).toEqual(["tile/0/017@1000#4383"]);
  });

  it("names the entry that the tiles contradict", async () => {
    const findings = await audit({ heads: [], entries: new Map([[4000, other(4000)]]) });
    expect(placesOf(findings)).toEqual(["tile/entries/15@160#4000"]);
  });

  it("lets a head judge where no tile above is stored: inside a bundle, at its end, and behind it", async () => {
    const entries = new Map([[65_540, other(65_540)]]);
    for (const head of sampled([65_600, 66_048, SIZE], 3, 1)) {
      expect(placesOf(await audit({ heads: [head], entries }))).toEqual(["tile/entries/256@4#65540"]);
      expect(placesOf(await audit({ heads: [head], flipped: [["tile/0/256", 130]] }))).toEqual([
        "tile/0/256@130#65540",
      ]);
    }
    expect(placesOf(await audit({ heads: [SIZE], flipped: [["tile/1/000", 8191]] }))).toEqual(["tile/1/000@8191#-"]);
  });

  it("judges several disagreements at once, each by itself", async () => {
    const entries = new Map([[65_540, other(65_540)]]);
    const findings = await audit({
      heads: [SIZE],
      entries,
      flipped: [
        ["tile/0/257", 0],
        ["tile/1/000", 64],
      ],
    });
    expect([...placesOf(findings)].toSorted()).toEqual([
      "tile/0/257@0#65792",
      "tile/1/000@64#-",
      "tile/entries/256@4#65540",
    ]);
  });

  it("names both sides where nothing can judge, and the subtree where tile and entries agree against all above", async () => {
    const entries = new Map([[65_540, other(65_540)]]);
    const undecided = await audit({ heads: [], entries });
    expect([...placesOf(undecided)].toSorted()).toEqual(["tile/0/256@128#65540", "tile/entries/256@4#65540"]);
    const forged = await audit({
      heads: [1000],
      entries: new Map([[4000, { ...other(4000), isSure: true }]]),
      flipped: [],
    });
    expect(forged.faults.map(({ path }) => path)).toContain("tile/0/015");
  });

  it("says of a head that nothing fits that the log was forked, and of one beyond the log that the log is behind", async () => {
    roots.set(70_000, edge.root());
    const findings = await audit({ heads: [70_000] });
    expect(findings.faults.map(({ code }) => code)).toEqual(["ERR_LOG_BEHIND"]);
    const entries = new Map([[65_536 + 512, other(65_536 + 512)]]);
    expect((await audit({ heads: [SIZE], entries })).faults.map(({ code }) => code)).toEqual(["ERR_LOG_FORKED"]);
  });
});
