/** Bytes sent to a server as they are: what no HTTP client would send. */

import { once } from "node:events";
import { connect, type Socket } from "node:net";

function open(url: string): Socket {
  const { port, hostname } = new URL(url);
  return connect(Number(port), hostname);
}

/** Until a server that says nothing at all is given up; a busy machine takes its time. */
const SILENCE_MS = 20_000;

/** Sends `text` and resolves to everything that came back until the server closed, or until nothing more came for a while. */
export function sendRaw(url: string, text: string, quietMs = 300): Promise<string> {
  return new Promise((resolve) => {
    const socket = open(url);
    let received = "";
    let quiet = setTimeout(() => socket.destroy(), SILENCE_MS);
    socket.on("connect", () => socket.write(text, "latin1"));
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      clearTimeout(quiet);
      quiet = setTimeout(() => socket.destroy(), quietMs);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(quiet);
      resolve(received);
    });
  });
}

/** Begins a request and never ends it; the socket is the caller's to destroy. */
export async function beginRequest(url: string, head: string): Promise<Socket> {
  const socket = open(url);
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(head);
  return socket;
}

/** What asks a server to say that it has taken a head, before it gets the body (RFC 9110 §10.1.1): for `beginAnswered`. */
export const EXPECT_CONTINUE = "expect: 100-continue\r\n";

/**
 * Begins a request and never ends it, and resolves once the server has said something about it. A request with
 * EXPECT_CONTINUE is answered in the turn in which its head is handled: what it takes at the server is taken by then.
 */
export async function beginAnswered(url: string, head: string): Promise<Socket> {
  const socket = open(url);
  socket.on("error", () => undefined);
  const answered = new Promise<void>((resolve, reject) => {
    socket.once("data", () => resolve());
    socket.once("close", () => reject(new Error("the connection ended without an answer")));
  });
  socket.write(head);
  await answered;
  return socket;
}

/** Status codes of the answers in `text`, in order. */
export function statusesOf(text: string): readonly number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}
