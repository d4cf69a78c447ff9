/** A real S3 server (versitygw over a temporary folder) on loopback. Where its program is says COUNTERSIGN_VERSITYGW. */

import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ObjectStoreCredentials, ObjectStorePlace } from "../../ledger/postgres-s3/object-store.ts";
import { freePort } from "./free-port.ts";

/** Who may write. */
export const S3_CREDENTIALS: ObjectStoreCredentials = {
  accessKeyId: "countersign-test",
  secretAccessKey: "countersign-test-secret",
};
const BUCKET = "log-tiles";

/** Path of the program, as scripts/postgres-s3.sh sets it. */
export function versitygw(): string {
  const path = process.env["COUNTERSIGN_VERSITYGW"];
  if (path === undefined)
    throw new Error("COUNTERSIGN_VERSITYGW does not name versitygw; run npm run test:postgres-s3");
  return path;
}

/** One server with one empty bucket. */
export class S3Server {
  readonly place: ObjectStorePlace;
  readonly #folder: string;
  readonly #program: string;
  #process: ChildProcess | undefined;

  private constructor(folder: string, program: string, port: number) {
    this.#folder = folder;
    this.#program = program;
    this.place = { endpoint: `http://127.0.0.1:${port}`, region: "us-east-1", bucket: BUCKET, prefix: "" };
  }

  /** @param program  path of versitygw */
  static async start(program: string): Promise<S3Server> {
    const folder = await mkdtemp(join(tmpdir(), "countersign-s3-"));
    await mkdir(join(folder, "data", BUCKET), { recursive: true });
    await mkdir(join(folder, "meta"));
    const server = new S3Server(folder, program, await freePort());
    await server.up();
    return server;
  }

  /** Starts it again on the same data; resolves when it answers. */
  async up(): Promise<void> {
    const { port } = new URL(this.place.endpoint);
    const flags = ["--port", `127.0.0.1:${port}`, "--quiet", "--keep-alive"];
    const backend = ["posix", "--sidecar", join(this.#folder, "meta"), join(this.#folder, "data")];
    this.#process = spawn(this.#program, [...flags, ...backend], {
      stdio: "ignore",
      env: { ROOT_ACCESS_KEY: S3_CREDENTIALS.accessKeyId, ROOT_SECRET_KEY: S3_CREDENTIALS.secretAccessKey },
    });
    for (let i = 0; i < 600 && !(await this.#answers()); i += 1)
      await new Promise((resolve) => setTimeout(resolve, 50));
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    const { exitCode, signalCode } = this.#process ?? { exitCode: 0, signalCode: null };
    if (exitCode === null && signalCode === null && this.#process !== undefined) await once(this.#process, "exit");
  }

  /**
   * Leaves of an object what a kill between two steps of a write leaves: its etag beside, and no bytes. Measured: 6 times in 315
   * kills amid writes.
   */
  async plantGhost(key: string, bytes: Uint8Array): Promise<void> {
    const folder = join(this.#folder, "meta", BUCKET, key, "meta");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "etag"), `"${createHash("md5").update(bytes).digest("hex")}"`);
  }

  /** Stops it and removes its folder. */
  async remove(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Any HTTP answer will do: it refuses strangers. */
  #answers(): Promise<boolean> {
    return fetch(this.place.endpoint).then(
      () => true,
      () => false,
    );
  }
}
