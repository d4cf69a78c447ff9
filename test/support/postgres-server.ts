/** A real PostgreSQL of the machine in a temporary folder, on loopback; run by an unprivileged user, as it demands. */

import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { chmod, chown, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";

const BINARIES = "/usr/lib/postgresql";
const run = promisify(execFile);

interface User {
  readonly uid?: number;
  readonly gid?: number;
}

/** The user `postgres` of the package if we are root, ourselves otherwise. */
function unprivileged(): User {
  if (process.getuid?.() !== 0) return {};
  const idOf = (flag: string): number => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  return { uid: idOf("-u"), gid: idOf("-g") };
}

function binary(name: string): string {
  const newest = readdirSync(BINARIES).toSorted((a, b) => Number(b) - Number(a))[0];
  return join(BINARIES, newest ?? "", "bin", name);
}

/** One server with an empty database. */
export class PostgresServer {
  readonly port: number;
  readonly #folder: string;
  readonly #user: User;
  #process: ChildProcess | undefined;
  #databases = 0;

  private constructor(folder: string, port: number, user: User) {
    this.#folder = folder;
    this.port = port;
    this.#user = user;
  }

  /** Makes a cluster and starts it. @param settings  of postgresql.conf, as `name=value` */
  static async start(settings: readonly string[] = []): Promise<PostgresServer> {
    const user = unprivileged();
    const folder = await mkdtemp(join(tmpdir(), "countersign-pg-"));
    await chmod(folder, 0o755);
    const data = join(folder, "data");
    await mkdir(data, { mode: 0o700 });
    if (user.uid !== undefined && user.gid !== undefined) await chown(data, user.uid, user.gid);
    await run(binary("initdb"), ["-D", data, "-U", "countersign", "-A", "trust", "-E", "UTF8", "--no-locale"], {
      ...user,
      cwd: "/",
    });
    const server = new PostgresServer(folder, await freePort(), user);
    await server.up(settings);
    return server;
  }

  /** Connection string of its database. */
  get url(): string {
    return `postgres://countersign@127.0.0.1:${this.port}/postgres`;
  }

  /** A new, empty database; its connection string. */
  async newDatabase(): Promise<string> {
    this.#databases += 1;
    const name = `log${this.#databases}`;
    const address = ["-h", "127.0.0.1", "-p", String(this.port), "-U", "countersign"];
    await run(binary("createdb"), [...address, name]);
    return `postgres://countersign@127.0.0.1:${this.port}/${name}`;
  }

  /** Writes a consistent copy of a database into a file. @param url  of `newDatabase` */
  async dump(url: string, file: string): Promise<void> {
    await run(binary("pg_dump"), ["--format=custom", "--file", file, "--dbname", url]);
  }

  /** A new database with the content of a dump; its connection string. */
  async restore(file: string): Promise<string> {
    const url = await this.newDatabase();
    await run(binary("pg_restore"), ["--exit-on-error", "--dbname", url, file]);
    return url;
  }

  /** Starts it again on the same data; resolves when it answers. */
  async up(settings: readonly string[] = []): Promise<void> {
    const flags = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-p", String(this.port)];
    const more = settings.flatMap((setting) => ["-c", setting]);
    this.#process = spawn(binary("postgres"), ["-D", join(this.#folder, "data"), ...flags, ...more], {
      ...this.#user,
      cwd: "/",
      stdio: "ignore",
    });
    for (let i = 0; i < 600 && !(await this.#answers()); i += 1)
      await new Promise((resolve) => setTimeout(resolve, 50));
  }

  /** Stops without a checkpoint, as `pg_ctl stop -m immediate` does: the next start recovers from its log. */
  async stopImmediately(): Promise<void> {
    this.#process?.kill("SIGQUIT");
    await this.#gone();
  }

  /** Stops it and removes its folder. */
  async remove(): Promise<void> {
    this.#process?.kill("SIGQUIT");
    await this.#gone();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #gone(): Promise<void> {
    const { exitCode, signalCode } = this.#process ?? { exitCode: 0, signalCode: null };
    if (exitCode === null && signalCode === null && this.#process !== undefined) await once(this.#process, "exit");
  }

  /** A server that starts up refuses sessions; one that takes `SSLRequest` is there. */
  #answers(): Promise<boolean> {
    return run(binary("pg_isready"), ["-h", "127.0.0.1", "-p", String(this.port)]).then(
      () => true,
      () => false,
    );
  }
}
