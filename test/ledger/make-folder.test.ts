import { dirname } from "node:path";
import { expect, it } from "vitest";
import { type FolderCalls, makeFolderDurably } from "../../ledger/storage/make-folder.ts";

/** Folders by name, and of each whether its name is durable. The calls after `left` of them fail: the process is gone. */
class Folders {
  readonly names = new Map<string, boolean>([["/srv", true]]);
  left = Number.POSITIVE_INFINITY;
  calls = 0;

  readonly fs: FolderCalls = {
    make: async (path) => {
      this.#count();
      if (this.names.has(path)) throw failure("EEXIST");
      if (!this.names.has(dirname(path))) throw failure("ENOENT");
      this.names.set(path, false);
    },
    isFolder: async (path) => {
      this.#count();
      return path === "/" || this.names.has(path);
    },
    sync: async (path) => {
      this.#count();
      for (const name of this.names.keys()) if (dirname(name) === path) this.names.set(name, true);
    },
  };

  /** What is there behind a power cut. */
  get surviving(): readonly string[] {
    const isThere = (path: string): boolean =>
      path === "/" || (this.names.get(path) === true && isThere(dirname(path)));
    return [...this.names.keys()].filter(isThere);
  }

  #count(): void {
    if (this.calls >= this.left) throw failure("EIO");
    this.calls += 1;
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

const ALL = ["/srv", "/srv/logs", "/srv/logs/one", "/srv/logs/one/data"];
const INNERMOST = "/srv/logs/one/data";

it("is done only when a power cut takes no folder back, wherever an earlier process was ended", async () => {
  const whole = new Folders();
  await makeFolderDurably(INNERMOST, 0o700, whole.fs);
  expect(whole.surviving).toEqual(ALL);
  expect(whole.calls).toBeGreaterThan(6);
  for (let left = 0; left < whole.calls; left += 1) {
    const folders = new Folders();
    folders.left = left;
    await expect(makeFolderDurably(INNERMOST, 0o700, folders.fs)).rejects.toMatchObject({ code: "EIO" });
    folders.left = Number.POSITIVE_INFINITY;
    await makeFolderDurably(INNERMOST, 0o700, folders.fs);
    expect(folders.surviving, `ended behind ${left} calls`).toEqual(ALL);
  }
});

it("takes a folder below one that it may not read, and none that is a file", async () => {
  const folders = new Folders();
  const closed = { ...folders.fs, sync: () => Promise.reject(failure("EACCES")) };
  await makeFolderDurably("/srv", 0o700, closed);
  await expect(makeFolderDurably("/srv/logs", 0o700, closed)).rejects.toMatchObject({ code: "EACCES" });
  const file = { ...folders.fs, isFolder: (path: string) => Promise.resolve(path === "/") };
  await expect(makeFolderDurably("/srv", 0o700, file)).rejects.toMatchObject({ code: "EEXIST" });
});
