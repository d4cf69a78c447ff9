/**
 * The page of approvals: static files, read once at the start, which know nothing and need no token; whoever uses them gives an
 * operator's. Served with a policy that lets nothing else in, and no other page around or at it.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { FastifyInstance } from "fastify";

const FOLDER = fileURLToPath(new URL("page", import.meta.url));
const FILES = [
  ["/", "index.html", "text/html; charset=utf-8"],
  ["/page/approvals.css", "approvals.css", "text/css; charset=utf-8"],
  ["/page/approvals.js", "approvals.js", "text/javascript; charset=utf-8"],
] as const;

const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};

/** Adds `GET /` and the files of the page. */
export function pageRoutes(server: FastifyInstance): void {
  for (const [path, name, type] of FILES) {
    const bytes = readFileSync(join(FOLDER, name));
    server.get(path, (_request, reply) => reply.headers(HEADERS).type(type).send(bytes));
  }
}
