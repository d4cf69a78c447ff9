/** The ledger that tests of gateways have: what it must outlive. */

import { once } from "node:events";
import { connect } from "node:net";
import { expect, it } from "vitest";
import { startFakeLedger } from "../support/fake-ledger.ts";

it("outlives a request that is cut while it is read", async () => {
  const ledger = await startFakeLedger();
  const { hostname, port } = new URL(ledger.url);
  const socket = connect(Number(port), hostname);
  socket.end("POST /segments HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\ncut");
  socket.resume();
  await once(socket, "close");
  expect((await fetch(`${ledger.url}/none`)).status).toBe(404);
  expect(ledger.requests.map(({ path }) => path)).toEqual(["/none"]);
  await ledger.close();
});
