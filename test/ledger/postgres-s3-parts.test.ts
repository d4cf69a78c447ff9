import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { EMPTY_ROOT } from "../../kernel/merkle/hash.ts";
import { readShape } from "../../kernel/shape.ts";
import { formatBatch, parseBatch } from "../../ledger/postgres-s3/batch-bytes.ts";
import { credentialsShape, parseDatabaseUrl, storageShape } from "../../ledger/postgres-s3/config.ts";
import { formatEdge, parseEdge } from "../../ledger/postgres-s3/edge-bytes.ts";
import { createOnce, type ObjectStore, openObjectStore } from "../../ledger/postgres-s3/object-store.ts";
import { probeStore } from "../../ledger/postgres-s3/probe-store.ts";
import { TileBucket } from "../../ledger/postgres-s3/tile-bucket.ts";
import { EMPTY_EDGE } from "../../ledger/tree/right-edge.ts";
import { GrowingTree } from "../../ledger/tree/tree.ts";
import { bytePrefixes, oneByteChanges } from "../support/each-byte.ts";
import { numberedLeaves } from "../support/memory-tree.ts";

const HEADERS = { contentType: "text/plain", cacheControl: "no-store" };

/** A store in memory that may ignore the conditions of writes, as some do. */
function memoryStore(ignores: { readonly create?: boolean; readonly replace?: boolean } = {}): ObjectStore {
  const objects = new Map<string, { bytes: Uint8Array; etag: string }>();
  let version = 0;
  const put = (key: string, bytes: Uint8Array): void => {
    version += 1;
    objects.set(key, { bytes, etag: `"${version}"` });
  };
  return {
    get: (key) => Promise.resolve(objects.get(key)),
    create: async (key, bytes) => {
      if (objects.has(key) && ignores.create !== true) return "exists";
      put(key, bytes);
      return "created";
    },
    replace: async (key, bytes, _headers, etag) => {
      if (objects.get(key)?.etag !== etag && ignores.replace !== true) return "changed";
      put(key, bytes);
      return "replaced";
    },
    remove: async (key) => void objects.delete(key),
  };
}

describe("the probe of an object store", () => {
  it("takes one that honours both conditions, and leaves nothing there", async () => {
    await probeStore(memoryStore());
  });

  it("refuses one that overwrites in spite of If-None-Match, or of If-Match", async () => {
    for (const ignores of [{ create: true }, { replace: true }]) {
      await expect(probeStore(memoryStore(ignores))).rejects.toMatchObject({
        code: "ERR_CONDITIONAL_WRITE",
        fatal: true,
      });
    }
  });
});

describe("an object that is written once", () => {
  it("may be there with the same bytes, and halts with other ones", async () => {
    const store = memoryStore();
    await createOnce(store, "tile/0/000", formatUtf8("one"), HEADERS);
    await createOnce(store, "tile/0/000", formatUtf8("one"), HEADERS);
    const other = createOnce(store, "tile/0/000", formatUtf8("two"), HEADERS);
    await expect(other).rejects.toMatchObject({ code: "ERR_STORE_CONFLICT", fatal: true });
  });
});

describe("requests to an object store", () => {
  const place = { endpoint: "http://s3.test", region: "r", bucket: "b", prefix: "log/" };
  const credentials = { accessKeyId: "id", secretAccessKey: "secret" };

  it("carry the condition, the digest of the body and a signature", async () => {
    const seen: Request[] = [];
    const send: typeof fetch = async (input) => {
      if (input instanceof Request) seen.push(input);
      return new Response(null, { status: 200 });
    };
    await openObjectStore(place, credentials, send).create("tile/0/x001/000.p/5", formatUtf8("abc"), HEADERS);
    const [request] = seen;
    expect(request?.url).toBe("http://s3.test/b/log/tile/0/x001/000.p/5");
    expect(request?.headers.get("if-none-match")).toBe("*");
    expect(request?.headers.get("x-amz-content-sha256")).toMatch(/^ba7816bf/u);
    expect(request?.headers.get("authorization")).toMatch(/^AWS4-HMAC-SHA256 Credential=id\//u);
  });

  it("are repeated after faults that may pass, and then given up with a code that passes", async () => {
    let count = 0;
    const failing =
      (status: number): typeof fetch =>
      () => {
        count += 1;
        return Promise.resolve(new Response(null, { status }));
      };
    const get = (status: number): Promise<unknown> => openObjectStore(place, credentials, failing(status)).get("k");
    await expect(get(503)).rejects.toMatchObject({ code: "ERR_OBJECT_STORE", fatal: false });
    expect(count).toBe(3);
    await expect(get(403)).rejects.toMatchObject({ code: "ERR_OBJECT_STORE" });
    expect(count).toBe(4);
    expect(await get(404)).toBeUndefined();
  });
});

describe("a batch of sequenced entries", () => {
  const entries = [formatUtf8("a"), new Uint8Array(0), new Uint8Array(65_535).fill(7)];

  it("is read as it was written", () => {
    const read = parseBatch(formatBatch(entries), 3);
    expect(read.map((entry) => Buffer.compare(entry, entries[read.indexOf(entry)] ?? entry))).toEqual([0, 0, 0]);
    expect(formatBatch([])).toEqual(new Uint8Array(0));
  });

  it("is refused with another count and at every truncation", () => {
    const bytes = formatBatch([formatUtf8("abc"), formatUtf8("de")]);
    for (const count of [1, 3]) expect(() => parseBatch(bytes, count)).toThrow(/batch/u);
    for (let i = 0; i < bytes.length; i += 1) expect(() => parseBatch(bytes.subarray(0, i), 2)).toThrow(/batch/u);
  });
});

describe("the recorded right edge", () => {
  const makeTree = (size: number): GrowingTree => {
    const tree = new GrowingTree(new TileBucket(memoryStore()), EMPTY_EDGE);
    for (const [i, leaf] of numberedLeaves("entry", size).entries()) tree.append(formatUtf8(`entry ${i}`), leaf);
    return tree;
  };

  it("gives every partial tile of a size, and its root", async () => {
    for (const size of [0, 1, 2, 255, 256, 257, 300, 511, 512, 1000]) {
      const tree = makeTree(size);
      const tiles = parseEdge(
        await formatEdge(tree, BigInt(size)),
        BigInt(size),
        size === 0 ? EMPTY_ROOT : tree.root(),
      );
      for (const [level, { index, bytes }] of tiles.entries()) {
        if (bytes.length === 0) continue;
        const width = bytes.length / 32;
        expect(await tree.readTile({ kind: "hash", level, index, width })).toEqual(bytes);
      }
    }
  });

  it("is refused at every changed byte and every truncation", async () => {
    const tree = makeTree(259);
    const edge = await formatEdge(tree, 259n);
    expect(() => parseEdge(edge, 258n, tree.root())).toThrow(/edge/u);
    for (const damaged of [...bytePrefixes(edge), ...oneByteChanges(edge)])
      expect(() => parseEdge(damaged, 259n, tree.root())).toThrow(/edge/u);
  });
});

describe("the configuration of the storage", () => {
  const storage = {
    driver: "postgres-s3",
    database_url_file: "url",
    s3_endpoint: "http://127.0.0.1:7070",
    s3_bucket: "log-tiles",
    s3_credentials_file: "credentials.json",
  };
  const read = (value: object): unknown => readShape(storageShape, { ...value }, "storage");

  it("is one of two drivers, each with members of its own", () => {
    expect(read(storage)).toEqual(storage);
    expect(read({ driver: "files" })).toEqual({ driver: "files" });
  });

  it.each([
    [{ ...storage, driver: "s3" }],
    [{ driver: "files", s3_bucket: "b" }],
    [{ ...storage, role: "reader" }],
    [{ ...storage, s3_endpoint: "http://127.0.0.1:7070/" }],
    [{ ...storage, s3_endpoint: "http://user:secret@127.0.0.1:7070" }],
    [{ ...storage, s3_endpoint: "ftp://127.0.0.1" }],
    [{ ...storage, s3_bucket: "Log" }],
    [{ ...storage, s3_prefix: "a" }],
    [{ ...storage, s3_prefix: "/a/" }],
    [{ ...storage, lease_ms: 10 }],
    [{ ...storage, database_url: "postgres://user:secret@host/database" }],
  ])("refuses %j", (value) => {
    expect(() => read(value)).toThrow(expect.objectContaining({ code: "ERR_SHAPE" }));
  });

  it("takes secrets from files, and tells none in a refusal", () => {
    expect(parseDatabaseUrl("postgres://user:pass@host:5432/database")).toMatch(/^postgres:/u);
    expect(() => parseDatabaseUrl("http://user:hunter2@host")).toThrow(/^(?!.*hunter2)/u);
    expect(readShape(credentialsShape, { access_key_id: "id", secret_access_key: "key" }, "s3")).toEqual({
      accessKeyId: "id",
      secretAccessKey: "key",
    });
    expect(() => readShape(credentialsShape, { access_key_id: "id" }, "s3")).toThrow(
      expect.objectContaining({ code: "ERR_SHAPE" }),
    );
  });
});
