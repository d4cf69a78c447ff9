/**
 * What no gateway can do without, and nothing else: a reverse proxy that signs a record and makes it durable before it sends a call on,
 * and another one before it lets the answer go. Nothing is decided, inspected, committed to or brought to a ledger.
 *
 *     node mcp-sealing-passthrough-process.js <server url> <folder>
 */

import { generateKeyPairSync, hash, sign } from "node:crypto";
import { Agent, createServer, type IncomingHttpHeaders, type IncomingMessage, request as send } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { openFrameLog } from "../../gateway/receipts/frame-log.ts";
import { makeGroupCommit } from "../../gateway/receipts/group-commit.ts";

/** Of a decision receipt of the benchmark's call. */
const RECORD_BYTES = 3_600;
const SIGNATURE_AT = 100;

const upstream = new URL(process.argv[2] ?? "");
const agent = new Agent({ keepAlive: true, maxSockets: 256 });
const { privateKey } = generateKeyPairSync("ed25519");
const { log } = await openFrameLog(join(process.argv[3] ?? "", "records.log"), { isDurable: true, writesOn: "pool" });
const commit = makeGroupCommit({ ...log, rotate: async () => undefined }, ({ message }) => console.error(message));
const text = new Uint8Array(RECORD_BYTES).fill(0x20);

async function record(content: Uint8Array): Promise<void> {
  const bytes = text.slice();
  bytes.set(content.subarray(0, RECORD_BYTES));
  bytes.set(sign(null, hash("sha256", bytes, "buffer"), privateKey), SIGNATURE_AT);
  hash("sha256", bytes, "buffer");
  await commit.append(bytes);
}

function readWhole(message: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    message.on("data", (chunk: Buffer) => chunks.push(chunk));
    message.on("end", () => resolve(Buffer.concat(chunks)));
    message.on("error", reject);
  });
}

function sendOn(headers: IncomingHttpHeaders, body: Buffer): Promise<IncomingMessage> {
  const { hostname, port, pathname } = upstream;
  return new Promise((resolve, reject) => {
    send({ agent, hostname, port, path: pathname, method: "POST", headers }, resolve).on("error", reject).end(body);
  });
}

const server = createServer((request, response) => {
  const { host: _, connection: __, authorization: ___, ...headers } = request.headers;
  const pass = async (): Promise<void> => {
    const body = await readWhole(request);
    await record(body);
    const answer = await sendOn(headers, body);
    const answered = await readWhole(answer);
    await record(answered);
    response.writeHead(answer.statusCode ?? 502, answer.headers).end(answered);
  };
  pass().catch(() => response.destroy());
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ url: `http://127.0.0.1:${port}/mcp` }));
});
