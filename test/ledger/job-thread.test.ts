import { execFileSync } from "node:child_process";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { type JobAnswer, JobThread, type JobWorker } from "../../ledger/job-thread.ts";
import { ROOT } from "../support/source-files.ts";

/** A process that gives a real thread one job and then has nothing else to do. */
const PROGRAM = `
  import { Worker } from "node:worker_threads";
  import { JobThread } from ${JSON.stringify(`${pathToFileURL(ROOT).href}/dist/ledger/job-thread.js`)};
  const late = "const { parentPort: p } = require('node:worker_threads');" +
    "p.on('message', (job) => setTimeout(() => p.postMessage({ kind: 'done', value: job }), 50));";
  const thread = new JobThread(() => new Worker(late, { eval: true, execArgv: [] }));
  process.stdout.write(String(await thread.ask(7)));
`;

/** A worker that answers when the test says so. */
function makeWorker(): { readonly worker: JobWorker; readonly tell: (name: string, value: unknown) => void } {
  const listeners = new Map<string, (value: unknown) => void>();
  const worker: Pick<JobWorker, "ref" | "unref" | "postMessage"> & { readonly on: unknown } = {
    on: (name: string, listener: (value: unknown) => void) => void listeners.set(name, listener),
    ref: () => undefined,
    unref: () => undefined,
    postMessage: () => undefined,
  };
  return { worker: worker as JobWorker, tell: (name, value) => listeners.get(name)?.(value) };
}

async function outcomesOf(jobs: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(jobs);
  return settled.map((each) => (each.status === "fulfilled" ? "done" : each.reason.code));
}

describe("a thread that does jobs", () => {
  it("answers in order, fails all that wait when it ends, and starts anew with the next job", async () => {
    const workers = [makeWorker(), makeWorker()];
    let started = 0;
    const thread = new JobThread<number>(() => {
      const { worker } = workers[started] ?? makeWorker();
      started += 1;
      return worker;
    });
    const jobs = [1, 2, 3, 4, 5].map((job) => thread.ask(job));
    const answers: readonly JobAnswer[] = [
      { kind: "done", value: 7 },
      { kind: "damaged", message: "a page" },
      { kind: "failed", message: "ENOSPC" },
    ];
    for (const answer of answers) workers[0]?.tell("message", answer);
    workers[0]?.tell("error", new Error("injected"));
    const next = thread.ask(6);
    workers[0]?.tell("exit", 1);
    expect(await outcomesOf(jobs)).toEqual([
      "done",
      "ERR_INDEX_ROW",
      "ERR_STORE_WRITE",
      "ERR_STORE_WRITE",
      "ERR_STORE_WRITE",
    ]);
    workers[1]?.tell("message", { kind: "done", value: 7 });
    expect([await outcomesOf([next]), started]).toEqual([["done"], 2]);
  });

  it("keeps its process alive until the job is done, and no longer", () => {
    const out = execFileSync(process.execPath, ["--input-type=module", "--eval", PROGRAM], { timeout: 60_000 });
    expect(out.toString()).toBe("7");
  });
});
