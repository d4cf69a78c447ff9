/** The baseline of the gateway's benchmark: a bare reverse proxy of node:http that reads nothing. */

import { Agent, createServer, request as send } from "node:http";
import type { AddressInfo } from "node:net";

const upstream = new URL(process.argv[2] ?? "");
const agent = new Agent({ keepAlive: true, maxSockets: 256 });

const server = createServer((request, response) => {
  const { host: _, connection: __, authorization: ___, ...headers } = request.headers;
  const { hostname, port, pathname } = upstream;
  const onward = send({ agent, hostname, port, path: pathname, method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  onward.on("error", () => response.destroy());
  request.pipe(onward);
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ url: `http://127.0.0.1:${port}/mcp` }));
});
