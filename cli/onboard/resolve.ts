/** A command as an absolute path: hosts that are started from a desktop have another PATH than the terminal. */

import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import type { Surroundings } from "./hosts.ts";

/** Makes the search; a command with a slash is taken from the project's folder. */
export function makeResolver({ platform, cwd, env }: Surroundings): (command: string) => readonly string[] | undefined {
  const folders = (env["PATH"] ?? env["Path"] ?? "").split(delimiter).filter((folder) => isAbsolute(folder));
  const endings = platform === "win32" ? ["", ...(env["PATHEXT"] ?? ".EXE;.CMD;.BAT").split(";")] : [""];
  return (command) => {
    const isPath = /[/\\]/u.test(command);
    const starts = isPath ? [resolve(cwd, command)] : folders.map((folder) => join(folder, command));
    const found = starts.flatMap((start) => endings.map((ending) => start + ending)).find(isExecutable);
    if (found === undefined) return undefined;
    // Windows starts scripts of its shell through the shell only.
    const isScript = platform === "win32" && /\.(?:cmd|bat)$/iu.test(found);
    return isScript ? [env["ComSpec"] ?? "cmd.exe", "/c", found] : [found];
  };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
