/**
 * The baseline of the ledger's benchmark, in a process of its own: a bare node:http server that appends each body to a
 * file, syncs what has gathered since the last sync (group commit), and answers with a number. No tree, no dedup, no
 * checkpoints: what no ledger over HTTP can be faster than.
 */

import { open } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const file = await open(process.argv[2] ?? "", "w");
let waiting: { readonly body: Buffer; readonly response: ServerResponse }[] = [];
let isBusy = false;
let count = 0;

async function flush(): Promise<void> {
  isBusy = true;
  while (waiting.length > 0) {
    const batch = waiting;
    waiting = [];
    await file.writev(batch.map(({ body }) => body));
    await file.datasync();
    for (const { response } of batch) {
      response.end(String(count));
      count += 1;
    }
  }
  isBusy = false;
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    waiting.push({ body: Buffer.concat(chunks), response });
    if (!isBusy) void flush();
  });
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ url: `http://127.0.0.1:${port}` }));
});
