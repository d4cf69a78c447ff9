/** The files of a witness on a `PowerCutDisk`, by the calls that state-folder.ts makes, and its fence beside them. */

import { replaceFile } from "../../ledger/storage/durable-file.ts";
import type { FenceFile } from "../../witness/fence.ts";
import type { StateFiles } from "../../witness/state-files.ts";
import type { PowerCutDisk } from "./power-cut-disk.ts";

const FENCE = "fence/file";

/** State files; each name is a path of the disk. */
export function stateFilesOn(disk: PowerCutDisk): StateFiles {
  return {
    read: (name) => disk.read(name),
    list: (folder) => disk.list(folder),
    replace: (path, bytes) => replaceFile(disk, { path, bytes }),
    append: async (name, content, sync) => {
      const length = (await disk.read(name))?.length;
      if (length === undefined) throw new Error(`${name} is not there`);
      const file = await disk.open(name);
      await file.write(content, length);
      if (sync) await file.datasync();
    },
    remove: (name) => disk.remove(name),
  };
}

/** The fence of one process; the folder of its file is synced by the first write. */
export function fenceFileOn(disk: PowerCutDisk): FenceFile {
  let isNamed = false;
  return {
    read: () => disk.read(FENCE),
    write: async (bytes, offset) => {
      const file = await disk.open(FENCE);
      if (!isNamed) await disk.syncFolder("fence");
      isNamed = true;
      await file.write(bytes, offset);
      await file.datasync();
    },
    close: () => Promise.resolve(),
  };
}
