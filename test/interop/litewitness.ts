/** A real litewitness (filippo.io/torchwood) that knows one log. Its key lives in an ssh-agent of its own. */

import { join } from "node:path";
import { freePort, type Processes, run } from "./processes.ts";

/** Where the built programs are, and a folder for files. */
export interface Place {
  readonly bin: string;
  readonly work: string;
  readonly processes: Processes;
}

/** A witness of others: a line of a witness policy. */
export interface ForeignWitness {
  readonly url: string;
  readonly name: string;
  readonly vkey: string;
}

/** Starts it and tells it of the log `origin`, whose checkpoints `logKey` signs. */
export async function startLitewitness(
  { bin, work, processes }: Place,
  origin: string,
  logKey: string,
): Promise<ForeignWitness> {
  const [key, socket, database] = ["lw-key", "lw-agent", "lw.db"].map((name) => join(work, name));
  if (key === undefined || socket === undefined || database === undefined) throw new Error("no paths");
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
  await processes.start("ssh-agent", ["-D", "-a", socket], (line) => line.includes("SSH_AUTH_SOCK"));
  await run("ssh-add", ["-q", key], { SSH_AUTH_SOCK: socket });
  const [, fingerprint = ""] = (await run("ssh-keygen", ["-lf", `${key}.pub`])).split(" ");
  const [name, address] = ["witness.example/litewitness", `127.0.0.1:${await freePort()}`];
  const args = ["-db", database, "-name", name, "-key", fingerprint, "-ssh-agent", socket, "-listen", address];
  const line = await processes.start(join(bin, "litewitness"), args, (text) => text.includes("verifier key"));
  const vkey = /vkey="?([^\s"]+)/.exec(line)?.[1];
  if (vkey === undefined) throw new Error(`litewitness told no verifier key: ${line}`);
  await run(join(bin, "addlog"), [database, origin, logKey]);
  return { url: `http://${address}`, name, vkey };
}
