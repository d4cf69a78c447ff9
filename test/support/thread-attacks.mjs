/**
 * Attacks on the threads of a guarded process, in a process of its own; prints what came of each as JSON.
 *
 *     node thread-attacks.mjs <package folder> <scenario> <port of a listener> <port that the thread may use>
 *
 * thread-preload.mjs was loaded before it.
 */

import dns from "node:dns";
import { EventEmitter } from "node:events";
import { renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { register } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { SHARE_ENV, Worker } from "node:worker_threads";

const preload = join(import.meta.dirname, "thread-preload.mjs");
const [, , folder, scenario, port, allowed] = process.argv;
const told = (error) => error?.cause?.code ?? error?.code ?? error?.name ?? String(error);

/** What a thread could do that nobody guards. */
const OUT = `require("node:net").connect(${Number(port)}, "127.0.0.1");`;
const attempt = (run) => {
  try {
    run();
    return "out";
  } catch (error) {
    return told(error);
  }
};

async function main() {
  const at = (path) => pathToFileURL(join(folder, path)).href;
  const { installEgressGuard } = await import(at("gateway/egress/egress-guard.js"));
  const { EgressRules } = await import(at("gateway/egress/egress-rules.js"));
  const module = join(folder, "gateway/thread.js");
  const declared = (path) => ({
    destinations: [{ host: "127.0.0.1", port: Number(allowed), purpose: "ledger" }],
    privateHosts: [],
    ownNames: [],
    children: [],
    threads: [
      { name: "t", module: path, destinations: [{ host: "127.0.0.1", port: Number(allowed), purpose: "ledger" }] },
      { name: "closed", module: path, destinations: [] },
    ],
  });
  const refused = [];
  const guarded = (path) => {
    const guard = installEgressGuard(new EgressRules(declared(path), ""));
    guard.onRefused((each) => refused.push(`${each.way} ${each.destination}`));
    return guard;
  };
  const results = await SCENARIOS[scenario]({ guarded, module });
  console.log(JSON.stringify({ results, refused }));
  process.exit(0);
}

/** What the thread reports of itself. */
function reportOf(thread) {
  return new Promise((resolve) => {
    thread.listen(resolve, (error) => resolve(told(error)));
  });
}

/** A thread's module that is not of the package. */
function outsider() {
  const path = join(folder, "..", "outside.js");
  writeFileSync(path, "export const serve = (port) => port.postMessage('outside');\n");
  return path;
}

const SCENARIOS = {
  /** Every way to start a thread that is not the guard's own. */
  others: async ({ guarded, module }) => {
    const guard = guarded(module);
    const entry = join(folder, "gateway/egress/guarded-thread.js");
    const KeptWorker = globalThis.kept.Worker;
    class Derived extends KeptWorker {}
    const order = { module, egress: undefined, alarms: undefined, data: {} };
    return {
      eval: attempt(() => new Worker(OUT, { eval: true })),
      keptEval: attempt(() => new KeptWorker(OUT, { eval: true })),
      derived: attempt(() => new Derived(OUT, { eval: true })),
      data: attempt(() => new KeptWorker(new URL("data:text/javascript,import 'node:net'"))),
      entry: attempt(() => new KeptWorker(entry, { workerData: order })),
      entryFlags: attempt(() => new KeptWorker(entry, { execArgv: ["--import", preload], workerData: order })),
      entryOptions: attempt(() => new KeptWorker(entry, { env: { NODE_OPTIONS: `--import ${preload}` } })),
      entryShared: attempt(() => new KeptWorker(entry, { env: SHARE_ENV, workerData: order })),
      module: attempt(() => new KeptWorker(module)),
      hooks: attempt(() => register("data:text/javascript,export {}")),
      undeclared: attempt(() => guard.startThread("other", {})),
      again: attempt(() => guarded(module)),
    };
  },
  /** What the declared thread is, started in a process that has been prepared for it. */
  declared: async ({ guarded, module }) => {
    const guard = guarded(module);
    process.env.NODE_OPTIONS = `--import ${preload}`;
    Object.assign(Object.prototype, {
      execArgv: ["--import", preload],
      env: SHARE_ENV,
      eval: true,
      argv: ["polluted"],
    });
    const threads = [guard.startThread("t", { port, allowed }), guard.startThread("closed", { port, allowed })];
    for (const name of ["execArgv", "env", "eval", "argv"]) delete Object.prototype[name];
    const [open, closed] = await Promise.all(threads.map(reportOf));
    return { open, closed };
  },
  /** A thread that is put in the place of the guard's own, while that one starts. */
  stolen: async ({ guarded, module }) => {
    const guard = guarded(module);
    const { init } = EventEmitter;
    EventEmitter.init = function stolen(...args) {
      EventEmitter.init = init;
      new globalThis.kept.Worker("setInterval(() => {}, 1000)", { eval: true }).unref();
      return init.apply(this, args);
    };
    return { start: attempt(() => guard.startThread("t", {})) };
  },
  /** A file that is another one than when the guard was set up. */
  replaced: async ({ guarded, module }) => {
    const guard = guarded(module);
    writeFileSync(`${module}.new`, "export const serve = (port) => port.postMessage('replaced');\n");
    renameSync(`${module}.new`, module);
    return { start: attempt(() => guard.startThread("t", {})) };
  },
  linked: async ({ guarded, module }) => {
    const guard = guarded(module);
    const elsewhere = join(folder, "..", "elsewhere.js");
    writeFileSync(elsewhere, "export const serve = (port) => port.postMessage('linked');\n");
    rmSync(module);
    symlinkSync(elsewhere, module);
    return { start: attempt(() => guard.startThread("t", {})) };
  },
  outside: async ({ guarded }) => ({ install: attempt(() => guarded(outsider())) }),
  climbing: async ({ guarded }) => {
    outsider();
    return { install: attempt(() => guarded(`${folder}/gateway/../../outside.js`)) };
  },
  /** Nothing is tried: what ran before is told. */
  early: async ({ guarded, module }) => {
    guarded(module);
    return { lookup: await new Promise((resolve) => dns.lookup("x.example", (error) => resolve(told(error)))) };
  },
};

await main();
