/** The certificate that the client of a connection showed, if it showed one. */

import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { ClientCertificate } from "../identity/client-certificate.ts";

const known = new WeakMap<Socket, ClientCertificate>();

/** Read once for each connection: the handshake is over, and is not done again. */
export function clientCertificate(socket: Socket): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const found = known.get(socket);
  if (found !== undefined) return found;
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) return undefined;
  const certificate = { leaf, isAuthorized: socket.authorized };
  known.set(socket, certificate);
  return certificate;
}
