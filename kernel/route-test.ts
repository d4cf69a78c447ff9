/**
 * A test of routes (docs/formats/route-test.md): which servers of a gateway answered somebody who asked them without it. Nobody signs
 * it, since nothing passes by it: it can only say more exactly what is not established.
 */

import { FormatError } from "./errors.ts";
import { canonicalBytes, parseCanonical } from "./json/canonical.ts";
import { type Digest, digestShape, type ServerId, serverIdShape } from "./receipt/fields.ts";
import { array, literal, mapped, object, readShape, type Shape, string, timestamp } from "./shape.ts";
import type { Timestamp } from "./time.ts";

/** Most bytes of a test. */
export const MAX_ROUTE_TEST_BYTES = 65_536;

/**
 * What came of asking a server: it answered; it answered that it wants a credential; nothing answered; it was not asked, for
 * example since it is a process of the gateway's.
 */
export type RouteState = "answered" | "refused" | "silent" | "untested";

/** One server, as the gateway calls it. */
export type TestedRoute = { readonly server: ServerId; readonly state: RouteState };

/** A test. */
export type RouteTest = {
  readonly kind: "route-test";
  readonly v: 1;
  readonly time: Timestamp;
  /** Where it was made, in the words of whoever made it: what does not answer there may answer elsewhere. */
  readonly from: string;
  /** Digest of the capture-scope statement that names the servers: decisions name the same. */
  readonly boundary: Digest;
  /** Each server once. */
  readonly routes: readonly TestedRoute[];
};

/** Where a test was made: 1 to 128 printable ASCII characters, no space at an end. */
export const vantageShape: Shape<string> = string({
  pattern: /^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/u,
  maxLength: 128,
  description: "1 to 128 printable ASCII characters, no space at an end",
});

const routesShape: Shape<readonly TestedRoute[]> = mapped(
  array(
    object<TestedRoute>({
      server: serverIdShape,
      state: literal("answered", "refused", "silent", "untested"),
    }),
    { max: 1024 },
  ),
  (routes) => {
    if (new Set(routes.map(({ server }) => server)).size === routes.length) return routes;
    throw new FormatError("ERR_SHAPE", "want each server once");
  },
);

const routeTestShape: Shape<RouteTest> = object<RouteTest>({
  kind: literal("route-test"),
  v: literal(1),
  time: timestamp(),
  from: vantageShape,
  boundary: digestShape,
  routes: routesShape,
});

/** Reads a test. @param bytes  canonical JSON @throws {FormatError} ERR_JSON_*, ERR_SHAPE */
export function parseRouteTest(bytes: Uint8Array): RouteTest {
  return readShape(routeTestShape, parseCanonical(bytes, { maxBytes: MAX_ROUTE_TEST_BYTES }), "route test");
}

/** The bytes of a test. */
export function formatRouteTest({ routes, ...test }: RouteTest): Uint8Array {
  return canonicalBytes({ ...test, routes: routes.map((route) => ({ ...route })) });
}
