import { rm } from "node:fs/promises";
import type { Disk } from "../../../ledger/storage/disk.ts";
import { makeDataDir, startTestLedger, type TestLedger } from "../../support/ledger-service.ts";
import { describeStorage } from "./storage-contract.ts";

/** A disk whose writes fail while `isBroken` says so. */
function failingDisk(disk: Disk, isBroken: () => boolean): Disk {
  return {
    ...disk,
    read: (path) => disk.read(path),
    list: (folder) => disk.list(folder),
    makeFolder: (folder) => disk.makeFolder(folder),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncFolder: (folder) => disk.syncFolder(folder),
    open: async (path) => {
      const file = await disk.open(path);
      return {
        write: async (bytes, offset) => {
          if (isBroken()) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
          await file.write(bytes, offset);
        },
        datasync: () => file.datasync(),
        close: () => file.close(),
      };
    },
  };
}

describeStorage("files", async (config) => {
  const dataDir = await makeDataDir();
  let isBroken = false;
  const start = (): Promise<TestLedger> =>
    startTestLedger({ dataDir, config, wrapDisk: (disk) => failingDisk(disk, () => isBroken) });
  let ledger = await start();
  const restart = async (): Promise<void> => {
    await ledger.close();
    ledger = await start();
  };
  return {
    url: () => ledger.url,
    restart,
    breakStorage: async () => {
      isBroken = true;
    },
    mendStorage: async () => {
      isBroken = false;
      await restart();
    },
    remove: async () => {
      await ledger.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
});
