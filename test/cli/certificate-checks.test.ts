/** Certificates are checked whatever the environment says: by the runtime's `fetch`, which the ledger and issuers are asked with. */

import { once } from "node:events";
import { createServer } from "node:https";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { keepCertificateChecks } from "../../cli/certificate-checks.ts";
import { issue } from "../support/certificates.ts";
import { listenOnLoopback, stopAtOnce } from "../support/loopback.ts";

const VARIABLE = "NODE_TLS_REJECT_UNAUTHORIZED";
const { key, cert } = issue({ subject: ["CN=nobody"], names: ["IP:127.0.0.1"] });
const stops: (() => void)[] = [];

beforeEach(() => {
  vi.stubEnv(VARIABLE, "0");
});
afterEach(() => {
  vi.unstubAllEnvs();
  for (const stop of stops.splice(0)) stop();
});

/** The URL of a server that no authority vouches for; each has connections of its own. */
async function unknownServer(): Promise<string> {
  const server = createServer({ key, cert }, (_, response) => response.end("ok"));
  const port = await listenOnLoopback(server);
  stops.push(() => stopAtOnce(server));
  return `https://127.0.0.1:${port}/`;
}

const outcomeHere = (url: string): Promise<string> => fetch(url).then((answer) => answer.text(), codeOf);

function codeOf({ cause }: Error): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : "no code";
}

async function outcomeInThread(url: string): Promise<unknown> {
  const source = `const { parentPort, workerData } = require("node:worker_threads");
    fetch(workerData).then((answer) => answer.text(), ({ cause }) => cause.code).then((text) => parentPort.postMessage(text));`;
  const thread = new Worker(source, { eval: true, workerData: url });
  const [outcome] = await once(thread, "message");
  await thread.terminate();
  return outcome;
}

it.each([
  ["in this thread", outcomeHere],
  ["in another", outcomeInThread],
])("are not taken from whoever shows them by a variable of the environment, %s", async (_, outcome) => {
  expect(await outcome(await unknownServer())).toBe("ok");
  const told: string[] = [];
  keepCertificateChecks(process.env, (text) => told.push(text));
  expect(await outcome(await unknownServer())).toBe("DEPTH_ZERO_SELF_SIGNED_CERT");
  expect([told.length, told[0]?.includes(VARIABLE)]).toEqual([1, true]);
});

it("are nothing to tell of where the environment leaves them alone", () => {
  for (const value of [undefined, "", "1"]) {
    const env = { [VARIABLE]: value };
    keepCertificateChecks(env, (text) => expect.unreachable(text));
    expect(env).toEqual({ [VARIABLE]: value });
  }
});
