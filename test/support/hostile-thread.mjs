/** The module of a declared thread that has turned: it tries what the thread may not do, and reports what came of it. */

import childProcess from "node:child_process";
import dgram from "node:dgram";
import dns from "node:dns";
import { register } from "node:module";
import net from "node:net";
import { isMainThread, Worker } from "node:worker_threads";

const told = (error) => error?.cause?.code ?? error?.code ?? error?.name ?? String(error);
const event = (emitter, out) =>
  new Promise((resolve) => {
    emitter.on("error", (error) => resolve(told(error)));
    emitter.once(out, () => resolve("out"));
  });
const thrown = (run) => {
  try {
    return run()?.error === undefined ? "out" : "error";
  } catch (error) {
    return told(error);
  }
};

/** @param port  of the parent; `data` names a listener that is not declared and one that may be */
export async function serve(port, data) {
  const [undeclared, allowed] = [Number(data.port), Number(data.allowed)];
  port.postMessage({
    isMainThread,
    env: Object.keys(process.env),
    execArgv: process.execArgv,
    argv: process.argv.slice(2),
    ed25519: (await import("#crypto")).implementations.ed25519,
    allowed: await event(net.connect(allowed, "127.0.0.1"), "connect"),
    tcp: await event(net.connect(undeclared, "127.0.0.1"), "connect"),
    fetch: await fetch(`http://127.0.0.1:${undeclared}/`).then(() => "out", told),
    udp: await new Promise((done) => {
      const socket = dgram.createSocket("udp4");
      socket.on("error", (error) => done(told(error)));
      socket.send("x", undeclared, "127.0.0.1", (error) => done(error ? told(error) : "out"));
    }),
    dns: await new Promise((done) => dns.lookup("data.exfiltration.example", (error) => done(told(error)))),
    pipe: await event(net.connect("/tmp/countersign-hostile.sock"), "connect"),
    spawn: await event(childProcess.spawn("/bin/true"), "spawn"),
    spawnSync: thrown(() => childProcess.spawnSync("/bin/true")),
    worker: thrown(() => new Worker("0", { eval: true })),
    hooks: thrown(() => register("data:text/javascript,export {}")),
    binding: thrown(() => process.binding("tcp_wrap")),
  });
}
