import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { EMPTY_ROOT } from "../../kernel/merkle/hash.ts";
import { readShape } from "../../kernel/shape.ts";
import { formatBatch, parseBatch } from "../../ledger/postgres-s3/batch-bytes.ts";
import { credentialsShape, parseDatabaseUrl, storageShape } from "../../ledger/postgres-s3/config.ts";
import { formatEdge, parseEdge } from "../../ledger/postgres-s3/edge-bytes.ts";
import { createOnce, type ObjectStore, openObjectStore } from "../../ledger/postgres-s3/object-store.ts";
import { probeStore } from "../../ledger/postgres-s3/probe-store.ts";
import { TermPulse } from "../../ledger/postgres-s3/term-pulse.ts";
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

describe("a store that was killed amid a write", () => {
  const KEY = "tile/0/000";

  /** It knows an object by its etag alone: refuses to create it, and does not show it. */
  function ghostStore(ghost: string): ObjectStore {
    const store = memoryStore();
    const md5 = createHash("md5").update(ghost).digest("hex");
    let isGhost = true;
    return {
      ...store,
      create: (...put) => (isGhost ? Promise.resolve("exists") : store.create(...put)),
      replace: async (key, bytes, headers, etag) => {
        if (!isGhost) return store.replace(key, bytes, headers, etag);
        if (etag !== `"${md5}"`) return "changed";
        isGhost = false;
        await store.create(key, bytes, headers);
        return "replaced";
      },
    };
  }

  it("gets the bytes once more that it has the etag of", async () => {
    const store = ghostStore("one");
    await createOnce(store, KEY, formatUtf8("one"), HEADERS);
    expect((await store.get(KEY))?.bytes).toEqual(formatUtf8("one"));
  });

  it("gets no others, and that is no proof of a second history", async () => {
    const written = createOnce(ghostStore("one"), KEY, formatUtf8("two"), HEADERS);
    await expect(written).rejects.toMatchObject({ code: "ERR_OBJECT_STORE", fatal: false });
  });

  it("may have the object removed between two requests", async () => {
    const store = memoryStore();
    await store.create(KEY, formatUtf8("one"), HEADERS);
    const removing: ObjectStore = {
      ...store,
      get: async (key) => {
        await store.remove(key);
        return undefined;
      },
    };
    await createOnce(removing, KEY, formatUtf8("one"), HEADERS);
    expect((await store.get(KEY))?.bytes).toEqual(formatUtf8("one"));
  });
});

describe("a term that hangs", () => {
  it("is given up for good once a step took too long; one that goes on is not", () => {
    let now = 0;
    const pulse = new TermPulse(100, () => now);
    const stepsAt = (...times: readonly number[]): void => {
      for (const time of times) {
        now = time;
        pulse.begin("integrate");
      }
    };
    stepsAt(100, 200);
    expect(pulse.stall).toBeUndefined();
    // A round that is over, however long ago, hangs no more.
    pulse.begin("cosign");
    pulse.end("cosign");
    stepsAt(300, 400);
    expect(pulse.stall).toBeUndefined();
    pulse.begin("cosign");
    stepsAt(500, 501);
    expect(pulse.stall).toMatchObject({ code: "ERR_TERM_STALLED", fatal: false });
    pulse.end("cosign");
    expect(pulse.stall).toBeDefined();
  });

  it("takes each answer of the object store for a step", async () => {
    let now = 0;
    const pulse = new TermPulse(100, () => now);
    const store = pulse.watching(memoryStore());
    const steps = [
      () => store.create("k", formatUtf8("one"), HEADERS),
      () => store.get("k"),
      () => store.replace("k", formatUtf8("two"), HEADERS, '"1"'),
      () => store.remove("k"),
    ];
    for (const step of steps) {
      now += 100;
      await step();
      expect(pulse.stall).toBeUndefined();
    }
    now += 101;
    expect(pulse.stall).toBeDefined();
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

  it("end in time, whatever becomes of their signal", async () => {
    let count = 0;
    const silent: typeof fetch = () => {
      count += 1;
      return new Promise(() => undefined);
    };
    const get = openObjectStore(place, credentials, silent, 50).get("k");
    await expect(get).rejects.toMatchObject({ code: "ERR_OBJECT_STORE", cause: { name: "TimeoutError" } });
    // Three attempts; one whose time is over before it is signed is not sent.
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThanOrEqual(3);
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
