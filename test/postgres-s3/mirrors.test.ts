import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { openNote as openUnder } from "../../kernel/checkpoint/open-note.ts";
import { StoreError } from "../../kernel/errors.ts";
import { makeSignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { formatTilePath } from "../../kernel/tile/path.ts";
import { openLogCheckpoint } from "../../kernel/witness-policy.ts";
import { type MirrorHead, MirrorStore } from "../../ledger/mirror/mirror-store.ts";
import { checkMirror, pullOnce } from "../../ledger/mirror/pull.ts";
import { parseReceiverConfig } from "../../ledger/mirror/receiver-config.ts";
import { startReceiver } from "../../ledger/mirror/start-receiver.ts";
import type { Upstream } from "../../ledger/mirror/upstream.ts";
import { openObjectStore } from "../../ledger/postgres-s3/object-store.ts";
import { makeNodeDisk } from "../../ledger/storage/node-disk.ts";
import { originHash } from "../../witness/state-book.ts";
import { makeFolder, removeFolder } from "../support/data-folder.ts";
import { add } from "../support/ledger-operator.ts";
import { eventually, LEDGER_KEYS, LEDGER_ORIGIN } from "../support/ledger-service.ts";
import { startNode, type TestNode } from "../support/postgres-s3-log.ts";
import { S3_CREDENTIALS } from "../support/s3-server.ts";
import { type StoreServers, startStoreServers } from "../support/store-servers.ts";

const KEY = makeSignerKey("mirror.example/one", 0x04, new Uint8Array(32).fill(33));
const LOG_KEYS = LEDGER_KEYS.map(({ verifierKey }) => verifierKey);
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

let stores: StoreServers;
const cleanUp: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  stores = await startStoreServers();
});
afterAll(async () => {
  for (const each of cleanUp.toReversed()) await each();
  await stores.remove();
});

async function newFolder(): Promise<string> {
  const folder = await makeFolder();
  cleanUp.push(() => removeFolder(folder));
  return folder;
}

async function addMany(node: TestNode, first: number, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => add(node, `entry ${first + i}`)));
}

describe("a log in PostgreSQL and an S3-compatible store", () => {
  it("is pushed to a mirror by whoever integrates it, and shows there how far that is", async () => {
    const url = await stores.postgres.newDatabase();
    const config = {
      listen: { port: 0 },
      data_dir: await newFolder(),
      key_files: ["key"],
      logs: [{ origin: LEDGER_ORIGIN, keys: LOG_KEYS.map(formatVerifierKey) }],
    };
    const mirror = await startReceiver({ config: parseReceiverConfig(config), keys: [KEY], logger: quiet });
    cleanUp.push(mirror.close);
    const mirrors = [{ url: mirror.url, key: KEY.verifierKey }];
    const start = async (): Promise<TestNode> => {
      const node = await startNode({ url }, stores.s3, { config: { mirrors }, storage: { s3_prefix: "pushed/" } });
      cleanUp.push(node.close);
      return node;
    };
    const stored = (node: TestNode, size: number): Promise<unknown> =>
      eventually(async () => {
        const body = (await (await node.get("/readyz")).json()) as { mirrors?: readonly { size: number }[] };
        return body.mirrors?.[0]?.size === size ? true : undefined;
      });
    const one = await start();
    const other = await start();
    await addMany(one, 0, 299);
    await stored(one, 300);
    const idle = (await (await other.get("/readyz")).json()) as object;
    expect(idle).not.toHaveProperty("mirrors");
    expect(await (await one.get("/metrics")).text()).toContain(`ledger_mirror_size{mirror="${mirror.url}"} 300`);
    await one.close();
    await addMany(other, 299, 10);
    await stored(other, 310);
    const note = await (await fetch(`${mirror.url}/${originHash(LEDGER_ORIGIN)}/checkpoint`)).text();
    expect(openUnder(note, [...LOG_KEYS, KEY.verifierKey]).verified).toHaveLength(3);
  });

  it("is whole in the bucket alone: a mirror that pulls objects verifies every published size", async () => {
    const url = await stores.postgres.newDatabase();
    const node = await startNode({ url }, stores.s3, { storage: { s3_prefix: "alone/" } });
    cleanUp.push(node.close);
    const bucket = openObjectStore({ ...stores.s3.place, prefix: "alone/" }, S3_CREDENTIALS);
    const read = async (path: string): Promise<Uint8Array | undefined> => (await bucket.get(path))?.bytes;
    const upstream: Upstream = {
      checkpoint: async () =>
        (await read("checkpoint")) ?? Promise.reject(new StoreError("ERR_LOG_UNREACHABLE", "none")),
      checkpointOrNothing: () => read("checkpoint"),
      status: () => Promise.resolve(undefined),
      tile: (ref) => read(formatTilePath(ref)),
    };
    const openNote = (note: string): MirrorHead => {
      const { checkpoint } = openLogCheckpoint(formatUtf8(note), LOG_KEYS);
      return { size: checkpoint.size, root: checkpoint.root, note };
    };
    const store = await MirrorStore.open(makeNodeDisk(await newFolder()), openNote);
    for (const [first, count] of [
      [0, 40],
      [40, 215],
      [255, 1],
      [256, 300],
    ] as const) {
      await addMany(node, first, count);
      const size = BigInt(first + count + 1);
      // Nodes serve what is recorded; the object follows.
      await eventually(async () => {
        if ((await read("checkpoint")) === undefined) return undefined;
        const pulled = await pullOnce({ store, upstream, openNote });
        return pulled.size === size ? true : undefined;
      });
      expect(await checkMirror(store)).toBe(size);
    }
  });
});
