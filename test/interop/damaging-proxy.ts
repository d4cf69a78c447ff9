/** A server that passes on what another answers, with one bit of one resource flipped: what no reader may accept. */

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { RunningService } from "../../kernel/service/service.ts";

/** Serves everything of `target` and damages the resource at `path`. */
export async function startDamagingProxy(target: string, path: string): Promise<RunningService> {
  const server = createServer((request, response) => void pass(target, path, request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  const close = async (): Promise<void> => {
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  };
  return { url: `http://127.0.0.1:${address.port}`, close };
}

async function pass(target: string, path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { authorization = "" } = request.headers;
  const answer = await fetch(`${target}${request.url ?? "/"}`, { headers: { authorization } });
  const body = new Uint8Array(await answer.arrayBuffer());
  if (request.url === path && answer.status === 200) body[100] = (body[100] ?? 0) ^ 1;
  response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "text/plain" });
  response.end(body);
}
