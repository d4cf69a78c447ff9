/**
 * Reads an archive into a mirror's folder: each resource is verified against the checkpoint, and that under a policy,
 * before it becomes visible; the checkpoint is published last. What is there already must agree.
 */

import { parseUtf8 } from "../../kernel/bytes.ts";
import { FormatError, StoreError } from "../../kernel/errors.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { MAX_NOTE_BYTES } from "../../kernel/note/signed-note.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { MAX_ENTRY_BYTES, parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { formatTilePath, type TileRef } from "../../kernel/tile/path.ts";
import type { ByteReader } from "../mirror/byte-reader.ts";
import type { MirrorHead, MirrorStore, OpenNote } from "../mirror/mirror-store.ts";
import { VerifiedTiles } from "../mirror/verified-tiles.ts";
import { type ArchiveManifest, CHECKPOINT_NAME, MANIFEST_NAME, parseManifest, resourcesOf } from "./log-archive.ts";
import { readTarFile, type TarFile } from "./ustar.ts";

const MAX_FILE_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES);
/** Resources and bytes that become durable together. */
const GROUP = 64;
const GROUP_BYTES = 64 * 1024 * 1024;

/** What is imported, where, and what is trusted. */
export interface ImportParts {
  readonly reader: ByteReader;
  /** Empty, or of the same log. */
  readonly store: MirrorStore;
  readonly openNote: OpenNote;
  readonly onProgress?: (done: number, total: number) => void;
}

interface Resource {
  readonly ref: TileRef;
  readonly bytes: Uint8Array;
}

/**
 * Imports an archive.
 *
 * @throws {FormatError} ERR_LOG_ARCHIVE, ERR_JSON_*, ERR_SHAPE, ERR_TILE_LENGTH, ERR_BUNDLE_LENGTH; as `openNote`
 * @throws {CheckError} ERR_ROOT_MISMATCH; as `openNote`
 * @throws {StoreError} ERR_STORE_CONFLICT: the folder holds another checkpoint, or other bytes
 */
export async function importLog({ reader, store, openNote, onProgress }: ImportParts): Promise<ArchiveManifest> {
  const manifest = parseManifest((await expectFile(reader, MANIFEST_NAME, MAX_NOTE_BYTES)).bytes);
  const head = openNote(parseUtf8((await expectFile(reader, CHECKPOINT_NAME, MAX_NOTE_BYTES)).bytes));
  checkHead(store, manifest, head);
  await store.begin(head);
  const refs = resourcesOf(manifest);
  const edge = new Map<string, Uint8Array>();
  let next = refs.next();
  for (; next.done !== true && next.value.width < TILE_WIDTH && next.value.kind === "hash"; next = refs.next()) {
    const name = formatTilePath(next.value);
    edge.set(name, (await expectFile(reader, name, MAX_FILE_BYTES)).bytes);
  }
  const importer = await Importer.open(store, head, edge);
  for (; next.done !== true; next = refs.next()) {
    const { bytes } = await expectFile(reader, formatTilePath(next.value), MAX_FILE_BYTES);
    await importer.take({ ref: next.value, bytes });
    if (next.value.kind === "entries") onProgress?.(Number(next.value.index) + 1, manifest.end_bundle);
  }
  if ((await readTarFile(reader, 0)) !== undefined) throw new FormatError("ERR_LOG_ARCHIVE", "want nothing more");
  await importer.finish();
  await store.publish(head);
  return manifest;
}

function checkHead(store: MirrorStore, manifest: ArchiveManifest, head: MirrorHead): void {
  if (BigInt(manifest.size) !== head.size || !head.note.startsWith(`${manifest.origin}\n`)) {
    throw new FormatError("ERR_LOG_ARCHIVE", "the manifest is not that of the checkpoint");
  }
  const known = store.published ?? store.pending;
  if (known === undefined || known.note === head.note) return;
  throw new StoreError("ERR_STORE_CONFLICT", "the folder holds another checkpoint: import into an empty one");
}

async function expectFile(reader: ByteReader, name: string, maxBytes: number): Promise<TarFile> {
  const file = await readTarFile(reader, maxBytes);
  if (file?.name === name) return file;
  throw new FormatError("ERR_LOG_ARCHIVE", `want ${name}, got ${file?.name ?? "the end"}`);
}

/** Verifies resources in the order of the archive and makes them visible in groups. */
class Importer {
  readonly #store: MirrorStore;
  readonly #tiles: VerifiedTiles;
  readonly #current: Map<string, Uint8Array>;
  #group: Resource[] = [];
  #groupBytes = 0;

  private constructor(store: MirrorStore, tiles: VerifiedTiles, current: Map<string, Uint8Array>) {
    this.#store = store;
    this.#tiles = tiles;
    this.#current = current;
  }

  static async open(store: MirrorStore, head: MirrorHead, edge: ReadonlyMap<string, Uint8Array>): Promise<Importer> {
    const current = new Map(edge);
    const find = async (ref: TileRef): Promise<Uint8Array | undefined> =>
      current.get(formatTilePath(ref)) ?? store.read(ref);
    const importer = new Importer(store, await VerifiedTiles.open(head, find), current);
    for (const resource of importer.#tiles.edgeTiles()) await importer.#add(resource);
    return importer;
  }

  async take({ ref, bytes }: Resource): Promise<void> {
    if (ref.kind === "hash") {
      this.#current.set(formatTilePath(ref), bytes);
      await this.#tiles.tile(ref.level, ref.index);
    } else {
      await this.#tiles.checkLeaves(ref.index, parseEntryBundle(bytes, ref.width).map(hashLeaf));
    }
    await this.#add({ ref, bytes });
  }

  async finish(): Promise<void> {
    await this.#store.write(this.#group);
    [this.#group, this.#groupBytes] = [[], 0];
    this.#current.clear();
  }

  async #add(resource: Resource): Promise<void> {
    this.#group.push(resource);
    this.#groupBytes += resource.bytes.length;
    if (this.#group.length >= GROUP || this.#groupBytes >= GROUP_BYTES) await this.finish();
  }
}
