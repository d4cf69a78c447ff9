/**
 * Derives the whole tree from the entries and compares every stored tile, at every level, with it.
 *
 * Where entries and a stored tile disagree, one of the two is damaged, and which one is for a third to say: the stored
 * tile above, or else a head whose root only one of the two gives. Until then the disagreement is carried upward. So a
 * flipped bit in a bundle is named as the bundle's, and one in a tile as the tile's.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { EMPTY_ROOT, HASH_BYTES, type NodeHash, parseNodeHash, type RootHash } from "../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatTilePath } from "../../kernel/tile/path.ts";
import { rootOfRows } from "../tree/row-root.ts";
import type { DataFolder } from "./data-folder.ts";
import {
  blameBoth,
  byteOfDifference,
  type Disagreement,
  type Dispute,
  hashesOfTile,
  type Row,
  rootOfHashes,
} from "./dispute.ts";
import type { Findings } from "./finding.ts";
import type { Group } from "./log-walk.ts";

const WIDTH = BigInt(TILE_WIDTH);
/** Disagreements that a head is asked about at once: 2^10 roots. */
const MAX_CHOICES = 10;
const UNKNOWN_HASH = parseNodeHash(new Uint8Array(HASH_BYTES));

/** A tree head that something on disk or something signed claims. */
export interface HeadClaim {
  readonly path: string;
  readonly offset?: number;
  /** What it is, for messages. */
  readonly name: string;
  readonly size: bigint;
  readonly root: RootHash;
}

/** Who is wrong in a disagreement: the stored tile, or what it was compared with. */
type Culprit = "stored" | "source";

/** Takes the groups of the log in order; mutable. */
export class TreeAudit {
  readonly #folder: DataFolder;
  readonly #findings: Findings;
  readonly #claims: readonly HeadClaim[];
  readonly #rows: Row[] = [];
  #disputes: Dispute[] = [];
  #size = 0n;
  #tiles = 0;
  /** Whether the newest group is above every head, and its tiles may still come. */
  #isPending = false;

  constructor(folder: DataFolder, findings: Findings, claims: readonly HeadClaim[]) {
    this.#folder = folder;
    this.#findings = findings;
    this.#claims = claims;
    for (const claim of claims) {
      if (claim.size === 0n && !equalBytes(claim.root, EMPTY_ROOT)) this.#addForked(claim);
    }
  }

  /** Entries so far. */
  get size(): bigint {
    return this.#size;
  }

  /** Stored tiles that were compared. */
  get tiles(): number {
    return this.#tiles;
  }

  /** Root of what was derived; undefined if parts of the log are missing altogether. */
  root(): RootHash | undefined {
    return rootOfRows(this.#size, this.#rows);
  }

  /** Hashes of the growing tile of a level; undefined unless it is the one at `index` and they are all known. */
  edgeHashes(level: number, index: bigint): readonly NodeHash[] | undefined {
    const row = this.#rows[level];
    if (row?.index !== index) return undefined;
    const known = row.hashes.filter((hash) => hash !== undefined);
    return known.length === row.hashes.length ? known : undefined;
  }

  /** Adds the next group. */
  async take(group: Group): Promise<void> {
    const row: Row = { index: group.index, hashes: group.entries.map((entry) => entry && parseNodeHash(entry.leaf)) };
    const [start, end] = [group.index * WIDTH, group.index * WIDTH + BigInt(row.hashes.length)];
    const isFull = row.hashes.length === TILE_WIDTH;
    this.#isPending =
      (group.isPending ?? group.entries.every((entry) => entry?.isSure === true)) &&
      this.#claims.every((claim) => claim.size < end);
    const stored = isFull ? await this.#readTile(0, group.index) : undefined;
    const open = stored === undefined ? undefined : this.#compareLeaves(group, row, stored);
    this.#rows[0] = row;
    this.#size = end;
    const inside = this.#claims.filter(({ size }) => size > start && size <= end && size < start + WIDTH);
    const rest = inside.reduce((left, claim) => this.#checkInside(claim, row, left, start), open);
    if (!isFull) return;
    await this.#push(1, group.index, rootOfHashes(row.hashes), rest);
    this.#rows[0] = { index: group.index + 1n, hashes: [] };
    for (const claim of this.#claims) if (claim.size === end) this.#checkClaim(claim, undefined);
  }

  /** Says which claims the log does not reach, and what nobody could decide. */
  finish(): void {
    for (const claim of this.#claims) {
      if (claim.size <= this.#size) continue;
      const message = `${claim.name} has size ${claim.size}, the disk gives ${this.#size}`;
      this.#findings.add({ ...placeOf(claim), code: "ERR_LOG_BEHIND", message });
    }
    for (const dispute of this.#disputes) blameBoth(dispute);
    this.#disputes = [];
  }

  /** Leaf hashes against the stored tile of level 0. What is missing is taken from the tile. */
  #compareLeaves(group: Group, row: Row, stored: readonly NodeHash[]): Disagreement | undefined {
    const derived = [...row.hashes];
    const wrong = takeMissing(row, stored);
    const sure = wrong.filter((i) => group.entries[i]?.isSure === true);
    const places = wrong.filter((i) => group.entries[i]?.isSure !== true);
    const blameTile = (at: readonly number[]): void => {
      const [first = 0] = at;
      this.#blame(0, group.index, `${at.length} of its hashes are not those of the entries`, {
        offset: byteOfDifference(first, derived[first], stored[first]),
        index: group.index * WIDTH + BigInt(first),
      });
    };
    if (sure.length > 0) blameTile(sure);
    if (places.length === 0) return undefined;
    // What the write-ahead log vouches for stands, also in the tile's version of the group.
    const version = stored.map((hash, i) => (sure.includes(i) ? (derived[i] ?? hash) : hash));
    const blameSource = (): void => this.#blameEntries(group, places);
    return { places, version, blameStored: () => blameTile(places), blameSource };
  }

  #blameEntries(group: Group, places: readonly number[]): void {
    const [first = 0] = places;
    const { path = group.path, offset = 0 } = group.entries[first] ?? {};
    const index = group.index * WIDTH + BigInt(first);
    const message = `${places.length} of its entries are not those of the tree`;
    this.#findings.add({ path, code: "ERR_TILE_DAMAGE", offset, index, message });
  }

  /** Puts the hash of a finished tile into the row above, and finishes that one if it is full. */
  async #push(level: number, place: bigint, hash: NodeHash | undefined, open: Disagreement | undefined): Promise<void> {
    const row = this.#rows[level] ?? { index: place / WIDTH, hashes: [] };
    this.#rows[level] = row;
    if (open !== undefined) this.#disputes.push({ ...open, row, place: row.hashes.length });
    row.hashes.push(hash);
    if (row.hashes.length < TILE_WIDTH) return;
    const stored = await this.#readTile(level, row.index);
    const dispute = stored === undefined ? undefined : this.#compareHashes(level, row, stored);
    this.#giveUp(row);
    await this.#push(level + 1, row.index, rootOfHashes(row.hashes), dispute);
    this.#rows[level] = { index: row.index + 1n, hashes: [] };
  }

  /** The stored tile of a level above 0 judges the disputes of its row; what it says alone is a disagreement of its own. */
  #compareHashes(level: number, row: Row, stored: readonly NodeHash[]): Disagreement | undefined {
    for (const dispute of this.#disputes.filter((each) => each.row === row)) {
      const [says, derived] = [stored[dispute.place], row.hashes[dispute.place]];
      if (isEqual(says, rootOfHashes(dispute.version))) this.#settle(dispute, "source");
      else if (isEqual(says, derived)) this.#settle(dispute, "stored");
    }
    const derived = [...row.hashes];
    const places = takeMissing(row, stored);
    if (places.length === 0) return undefined;
    const [first = 0] = places;
    const blameStored = (): void =>
      this.#blame(level, row.index, `${places.length} of its hashes are not those of the tiles below`, {
        offset: byteOfDifference(first, derived[first], stored[first]),
      });
    const blameSource = (): void => {
      for (const i of places) {
        const below = row.index * WIDTH + BigInt(i);
        this.#blame(level - 1, below, "it and what is below it contradict the tiles above", {});
      }
    };
    return { places, version: stored, blameStored, blameSource };
  }

  /** A claim whose size ends inside a group; it may settle the group's own disagreement. */
  #checkInside(claim: HeadClaim, row: Row, open: Disagreement | undefined, start: bigint): Disagreement | undefined {
    const isConcerned = open?.places.some((place) => start + BigInt(place) < claim.size) === true;
    const culprit = this.#checkClaim(claim, isConcerned ? open.version : undefined);
    if (culprit === undefined || open === undefined) return open;
    if (culprit === "stored") open.blameStored();
    else {
      row.hashes = [...open.version];
      open.blameSource();
    }
    return undefined;
  }

  /**
   * Roots that the open disputes allow, against the claimed one: the first that fits settles them all.
   *
   * @param version  of the newest group by its stored tile, if that disagrees
   * @returns who is wrong about the newest group, if `version` was given and the claim decided
   */
  #checkClaim(claim: HeadClaim, version: readonly NodeHash[] | undefined): Culprit | undefined {
    const open = this.#disputes.slice(0, MAX_CHOICES);
    const bits = open.length + (version === undefined ? 0 : 1);
    for (let choice = 0; choice < 1 << bits; choice += 1) {
      const wrong = open.map((_, i): Culprit => ((choice >> i) % 2 === 1 ? "source" : "stored"));
      const ofGroup = choice >> open.length === 1 ? version : undefined;
      const root = rootOfRows(claim.size, this.#alternative(open, wrong, ofGroup));
      if (root === undefined) {
        this.#findings.remark(claim.path, `${claim.name} cannot be derived: parts of the log are missing`);
        return undefined;
      }
      if (!equalBytes(root, claim.root)) continue;
      for (const [i, dispute] of open.entries()) this.#settle(dispute, wrong[i] ?? "stored");
      if (version === undefined) return undefined;
      return ofGroup === undefined ? "stored" : "source";
    }
    this.#addForked(claim);
    return undefined;
  }

  /** The rows as they are if each of the open disputes has the given culprit. */
  #alternative(
    open: readonly Dispute[],
    wrong: readonly Culprit[],
    version: readonly NodeHash[] | undefined,
  ): readonly Row[] {
    return this.#rows.map((row, level) => {
      const hashes = [...(level === 0 && version !== undefined ? version : row.hashes)];
      for (const [i, dispute] of open.entries()) {
        if (dispute.row === row && wrong[i] === "source") hashes[dispute.place] = rootOfHashes(dispute.version);
      }
      return { index: row.index, hashes };
    });
  }

  #settle(dispute: Dispute, wrong: Culprit): void {
    this.#disputes = this.#disputes.filter((each) => each !== dispute);
    if (wrong === "stored") {
      dispute.blameStored();
      return;
    }
    dispute.row.hashes[dispute.place] = rootOfHashes(dispute.version) ?? UNKNOWN_HASH;
    dispute.blameSource();
  }

  /** Disputes of a row that its tile did not settle: both sides are named. */
  #giveUp(row: Row): void {
    for (const dispute of this.#disputes) if (dispute.row === row) blameBoth(dispute);
    this.#disputes = this.#disputes.filter((dispute) => dispute.row !== row);
  }

  async #readTile(level: number, index: bigint): Promise<readonly NodeHash[] | undefined> {
    const path = formatTilePath({ kind: "hash", level, index, width: TILE_WIDTH });
    const bytes = await this.#folder.read(path);
    this.#tiles += 1;
    const want = TILE_WIDTH * HASH_BYTES;
    if (bytes?.length === want) return hashesOfTile(bytes);
    if (bytes !== undefined) {
      this.#findings.add({ path, code: "ERR_TILE_LENGTH", message: `want ${want} bytes, got ${bytes.length}` });
    } else if (this.#isPending) {
      this.#findings.remark(path, "not written yet; it is made of entries that are in no bundle");
    } else if (!this.#findings.names(path)) {
      this.#findings.add({ path, code: "ERR_TILE_MISSING", message: "the tile is missing" });
    }
    return undefined;
  }

  #blame(level: number, index: bigint, message: string, place: { offset?: number; index?: bigint }): void {
    const path = formatTilePath({ kind: "hash", level, index, width: TILE_WIDTH });
    this.#findings.add({ path, code: "ERR_TILE_DAMAGE", ...place, message });
  }

  #addForked(claim: HeadClaim): void {
    const message = `${claim.name} of size ${claim.size} has another root than the disk gives`;
    this.#findings.add({ ...placeOf(claim), code: "ERR_LOG_FORKED", message });
  }
}

/** Fills what a row does not know from the stored tile; the places at which the two differ. */
function takeMissing(row: Row, stored: readonly NodeHash[]): readonly number[] {
  const places: number[] = [];
  for (const [i, hash] of stored.entries()) {
    const derived = row.hashes[i];
    if (derived === undefined) row.hashes[i] = hash;
    else if (!equalBytes(derived, hash)) places.push(i);
  }
  return places;
}

function isEqual(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && equalBytes(a, b);
}

function placeOf({ path, offset }: HeadClaim): { path: string; offset?: number } {
  return offset === undefined ? { path } : { path, offset };
}
