/** A whole ledger, with HTTP and a witness, whose disk or clock fails; and its restart. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import type { Disk } from "../../ledger/storage/disk.ts";
import { readPublished } from "../support/ledger-reader.ts";
import {
  errorCode,
  eventually,
  LEDGER_KEYS,
  removeLedgers,
  SUBMIT,
  startTestLedger,
  type TestLedger,
} from "../support/ledger-service.ts";
import { type FakeWitness, startFakeWitness } from "../support/ledger-witness.ts";

let witness: FakeWitness;
let policy = "";
let ledgers: TestLedger[] = [];
beforeAll(async () => {
  witness = await startFakeWitness(1);
  const logs = LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}\n`).join("");
  policy = `${logs}${witness.policyLine}\nquorum w1\n`;
});
afterAll(() => witness.close());
afterEach(async () => {
  await removeLedgers(ledgers);
  ledgers = [];
  witness.size = 0n;
});

async function add(
  ledger: TestLedger,
  text: string,
): Promise<{ status: number; index: number; code: string | undefined }> {
  const response = await ledger.post("/add", text, SUBMIT);
  const code = await errorCode(response.clone());
  return { status: response.status, index: Number(await response.text()), code };
}

/** Waits until the published checkpoint covers `size` entries; gives its size. */
function published(ledger: TestLedger, size: number): Promise<bigint> {
  return eventually(async () => {
    const head = (await readPublished(ledger.url, policy))?.checkpoint;
    return head !== undefined && head.size >= BigInt(size) ? head.size : undefined;
  });
}

/** A fault that begins when a test says so: which calls fail from then on, and with which code. */
class DiskFault {
  isOn = false;
  readonly #code: string;
  readonly #fails: (call: "write" | "sync" | "name") => boolean;

  constructor(code: string, fails: DiskFault["isFailing"]) {
    [this.#code, this.#fails] = [code, fails];
  }

  readonly isFailing = (call: "write" | "sync" | "name"): boolean => this.isOn && this.#fails(call);

  readonly wrap = (disk: Disk): Disk => ({
    ...disk,
    open: async (path) => {
      const file = await disk.open(path);
      return {
        write: (bytes, offset) => this.#guard("write", () => file.write(bytes, offset)),
        datasync: () => this.#guard("sync", () => file.datasync()),
        close: () => file.close(),
      };
    },
    rename: (from, to) => this.#guard("name", () => disk.rename(from, to)),
    remove: (path) => this.#guard("name", () => disk.remove(path)),
    syncFolder: (folder) => this.#guard("sync", () => disk.syncFolder(folder)),
  });

  #guard(call: "write" | "sync" | "name", work: () => Promise<void>): Promise<void> {
    if (!this.isFailing(call)) return work();
    return Promise.reject(Object.assign(new Error(`injected ${this.#code}`), { code: this.#code }));
  }
}

const FAULTS: readonly (readonly [string, () => DiskFault])[] = [
  ["a full disk (ENOSPC)", () => new DiskFault("ENOSPC", (call) => call === "write")],
  ["syncs that fail (EIO)", () => new DiskFault("EIO", (call) => call === "sync")],
  ["a file system that became read-only (EROFS)", () => new DiskFault("EROFS", () => true)],
];

describe.each(FAULTS)("%s", (_, makeFault) => {
  it("halts the ledger with a code, loses nothing that was acknowledged, and is over after a restart", async () => {
    const fault = makeFault();
    const ledger = await startTestLedger({ config: { witness_policy: policy }, wrapDisk: fault.wrap });
    ledgers.push(ledger);
    for (let i = 0; i < 300; i += 1)
      expect(await add(ledger, `entry ${i}`)).toMatchObject({ status: 200, index: 1 + i });
    const size = await published(ledger, 301);
    fault.isOn = true;
    expect(await add(ledger, "not written")).toMatchObject({ status: 503, code: "ERR_LEDGER_STOPPED" });
    const ready = await ledger.get("/readyz");
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ ready: false, fault: "ERR_STORE_WRITE" });
    expect(await add(ledger, "too late")).toMatchObject({ status: 503, code: "ERR_LEDGER_STOPPED" });
    expect((await ledger.get("/tile/0/000")).status).toBe(200);
    expect((await readPublished(ledger.url, policy))?.checkpoint.size).toBe(size);
    await ledger.close();

    const again = await startTestLedger({ dataDir: ledger.dataDir, config: { witness_policy: policy } });
    ledgers = [again];
    for (let i = 0; i < 300; i += 50)
      expect(await add(again, `entry ${i}`)).toMatchObject({ status: 200, index: 1 + i });
    const { index } = await add(again, "after the fault");
    // What was refused may or may not have reached the disk: it was never acknowledged.
    expect([301, 302]).toContain(index);
    await published(again, index + 1);
  });
});

describe("a clock that jumps", () => {
  const HOUR_MS = 3_600_000;
  it.each([
    ["back by an hour", -HOUR_MS],
    ["forward by a year", 365 * 24 * HOUR_MS],
  ])("%s neither stops the log nor turns it back", async (_, jumpMs) => {
    let jumped = 0;
    const clock = { nowMs: () => Date.now() + jumped };
    const ledger = await startTestLedger({ config: { witness_policy: policy }, clock });
    ledgers.push(ledger);
    await add(ledger, "before");
    await published(ledger, 2);
    jumped = jumpMs;
    expect(await add(ledger, "after")).toMatchObject({ status: 200, index: 2 });
    await published(ledger, 3);
    jumped = 0;
    expect(await add(ledger, "and back")).toMatchObject({ status: 200, index: 3 });
    await published(ledger, 4);
    expect((await ledger.get("/readyz")).status).toBe(200);
    await ledger.close();
    const again = await startTestLedger({ dataDir: ledger.dataDir, config: { witness_policy: policy }, clock });
    ledgers = [again];
    expect(await add(again, "before")).toMatchObject({ status: 200, index: 1 });
  });
});
