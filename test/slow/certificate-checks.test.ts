/** The command, as a process, in an environment that switches checks of certificates off. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { issue } from "../support/certificates.ts";
import { policyText } from "../support/log-keys.ts";
import { listenOnLoopback, stopAtOnce } from "../support/loopback.ts";
import { ROOT } from "../support/source-files.ts";

it("asks nothing of a log whose certificate nobody vouches for, whatever the environment says", async () => {
  const folder = mkdtempSync(join(tmpdir(), "countersign-certificates-"));
  const policy = join(folder, "policy.txt");
  writeFileSync(policy, policyText(2));
  const { key, cert } = issue({ subject: ["CN=nobody"], names: ["IP:127.0.0.1"] });
  let requests = 0;
  const server = createServer({ key, cert }, (_, response) => {
    requests += 1;
    response.end("{}");
  });
  const port = await listenOnLoopback(server);
  const main = join(ROOT, "dist", "cli", "main.js");
  const args = [main, "log-status", `https://127.0.0.1:${port}`, "--witness-policy", policy];
  const env = { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: "0" };
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  let err = "";
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
  });
  const [status] = await once(child, "close");
  expect([status, requests]).toEqual([3, 0]);
  expect(err).toContain("NODE_TLS_REJECT_UNAUTHORIZED");
  stopAtOnce(server);
  rmSync(folder, { recursive: true, force: true });
});
