/**
 * The peer: Tessera's POSIX driver behind `POST /add`, a small Go program (test/bench/peer), built from the module proxy with
 * the versions pinned there. Without Go there is no peer, and the table says so.
 */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { formatSignerKey, makeSignerKey } from "../../../kernel/note/signer-key.ts";
import { type Server, startProgram } from "../load.ts";
import type { PeerBatch } from "./frame.ts";

/** The peer, or why there is none. */
export type FoundPeer =
  | { readonly name: string; readonly start: (folder: string, batch?: PeerBatch) => Promise<Server> }
  | { readonly absence: string };

const BUILD_LIMIT_MS = 240_000;
const execute = promisify(execFile);

/** Builds the peer into `folder`. */
export async function buildPeer(folder: string): Promise<FoundPeer> {
  const source = sourceFolder();
  const program = join(folder, "peer");
  try {
    await execute("go", ["build", "-mod=readonly", "-o", program, "."], { cwd: source, timeout: BUILD_LIMIT_MS });
    const { stdout } = await execute("go", ["version"]);
    const version = /tessera (v\S+)/u.exec(await readFile(join(source, "go.mod"), "utf8"))?.[1] ?? "?";
    const key = formatSignerKey(makeSignerKey("peer.example/log", 0x01, new Uint8Array(32).fill(5)));
    const start = (data: string, batch?: PeerBatch): Promise<Server> => {
      const more = batch === undefined ? [] : [String(batch.entries), String(batch.milliseconds)];
      return startProgram(program, [data, key, ...more], "ignore");
    };
    return { name: `Tessera ${version}, POSIX driver, ${stdout.trim().split(" ")[2] ?? "go"}`, start };
  } catch (error) {
    const isThere = !(error instanceof Error && "code" in error && error.code === "ENOENT");
    return { absence: isThere ? `it does not build here: ${String(error).slice(0, 200)}` : "Go is not installed" };
  }
}

/** test/bench/peer beside this file, or in the sources when this one is built. */
function sourceFolder(): string {
  const beside = fileURLToPath(new URL("../peer", import.meta.url));
  return existsSync(join(beside, "go.mod"))
    ? beside
    : fileURLToPath(new URL("../../../../test/bench/peer", import.meta.url));
}
