/**
 * Request targets by which clients have talked servers into answering from another place than the one they name: sent byte by byte,
 * since HTTP clients tidy them up. Each surface has a test that says what every one of them gets.
 */

import { sendRaw, statusesOf } from "./raw-http.ts";

const LONG_TILE = `/tile/0/${"x001/".repeat(40)}000`;

/** Status and code of an answer. */
type Answer = readonly [status: number, code: string];

const NO_ROUTE: Answer = [404, "ERR_NOT_FOUND"];
const NO_TILE: Answer = [404, "ERR_TILE_PATH"];
const NO_REQUEST: Answer = [400, "ERR_REQUEST"];

/** By name: the target, each character one byte; what a server of tiles answers; what one without them does. */
const TRICKS: Readonly<Record<string, readonly [target: string, tiles: Answer, others: Answer]>> = {
  "dots above the root": ["/../checkpoint", NO_ROUTE, NO_ROUTE],
  "dots behind a folder": ["/tile/../checkpoint", NO_TILE, NO_ROUTE],
  "dots between tiles": ["/tile/0/../0/000", NO_TILE, NO_ROUTE],
  "dots to a file beside": ["/tile/../head", NO_TILE, NO_ROUTE],
  "dots to a private file": ["/tile/../../wal/salt", NO_TILE, NO_ROUTE],
  "dots at the end": ["/checkpoint/..", NO_ROUTE, NO_ROUTE],
  "one dot": ["/./checkpoint", NO_ROUTE, NO_ROUTE],
  "one dot at the end": ["/checkpoint/.", NO_ROUTE, NO_ROUTE],
  "escaped dots": ["/%2e%2e/checkpoint", NO_ROUTE, NO_ROUTE],
  "escaped dots behind a folder": ["/tile/%2e%2e/checkpoint", NO_TILE, NO_ROUTE],
  "dots of which one is escaped": ["/tile/.%2E/checkpoint", NO_TILE, NO_ROUTE],
  "dots escaped twice": ["/tile/%252e%252e/checkpoint", NO_TILE, NO_ROUTE],
  "an escaped dot in a name": ["/%63heckpoint/%2e", NO_ROUTE, NO_ROUTE],
  "an escaped slash": ["/tile%2f0%2f000", NO_ROUTE, NO_ROUTE],
  "an escaped slash between tiles": ["/tile/0%2F000", NO_TILE, NO_ROUTE],
  "escaped dots and slashes": ["/tile/..%2f..%2fhead", NO_TILE, NO_ROUTE],
  "two slashes in front": ["//checkpoint", NO_ROUTE, NO_ROUTE],
  "two slashes behind a folder": ["/tile//0/000", NO_TILE, NO_ROUTE],
  "two slashes between tiles": ["/tile/0//000", NO_TILE, NO_ROUTE],
  "a slash behind": ["/checkpoint/", NO_ROUTE, NO_ROUTE],
  "a slash behind a tile": ["/tile/0/000/", NO_TILE, NO_ROUTE],
  backslashes: ["/tile\\0\\000", NO_ROUTE, NO_ROUTE],
  "backslashes behind dots": ["/tile/..\\..\\head", NO_TILE, NO_ROUTE],
  "a backslash in front": ["\\tile\\0\\000", NO_REQUEST, NO_REQUEST],
  "escaped backslashes": ["/tile/..%5c..%5chead", NO_TILE, NO_ROUTE],
  "a zero byte": ["/tile/0/000\u0000", NO_REQUEST, NO_REQUEST],
  "an escaped zero byte": ["/tile/0/000%00", NO_TILE, NO_ROUTE],
  "an escaped zero byte behind a name": ["/checkpoint%00.txt", NO_ROUTE, NO_ROUTE],
  "a tile of a name longer than any log has": [LONG_TILE, NO_TILE, NO_ROUTE],
  "a tile of 9,000 digits": [`/tile/0/${"9".repeat(9000)}`, NO_TILE, NO_ROUTE],
  "a tile above 2^64": [`/tile/0/${"x999/".repeat(7)}999`, NO_TILE, NO_ROUTE],
  "a path parameter": ["/checkpoint;/../head", NO_ROUTE, NO_ROUTE],
  "another scheme": ["file:///etc/passwd", NO_ROUTE, NO_ROUTE],
  "a whole URL": ["http://x/tile/../head", NO_TILE, NO_ROUTE],
  "no path": ["*", NO_ROUTE, NO_ROUTE],
  "a name alone": ["checkpoint", NO_REQUEST, NO_REQUEST],
  "a byte above ASCII": ["/checkpoint\u00ff", NO_REQUEST, NO_REQUEST],
  "an overlong dot": ["/%c0%ae%c0%ae/checkpoint", NO_REQUEST, NO_REQUEST],
  "an escape that is none": ["/tile/%2", NO_REQUEST, NO_REQUEST],
};

/** What a server of tiles answers to each trick. */
export const ANSWERS_OF_TILES: Readonly<Record<string, Answer>> = answersOf(([, tiles]) => tiles);

/** What a server without tiles answers to each trick. */
export const ANSWERS_OF_OTHERS: Readonly<Record<string, Answer>> = answersOf(([, , others]) => others);

/** Sends every trick to a server. @param headers  of each request, lines with their ends @returns status and code of each, "" without a code */
export async function answersToTricks(url: string, headers = ""): Promise<Readonly<Record<string, Answer>>> {
  const answers: Record<string, Answer> = {};
  for (const [name, [target]] of Object.entries(TRICKS)) {
    const text = await sendRaw(url, `GET ${target} HTTP/1.1\r\nhost: x\r\n${headers}connection: close\r\n\r\n`);
    const [status = 0, ...more] = statusesOf(text);
    if (more.length > 0) throw new Error(`${name}: ${more.length + 1} answers`);
    answers[name] = [status, /ERR_[A-Z_0-9]+/u.exec(text)?.[0] ?? ""];
  }
  return answers;
}

function answersOf(read: (trick: (typeof TRICKS)[string]) => Answer): Readonly<Record<string, Answer>> {
  return Object.fromEntries(Object.entries(TRICKS).map(([name, trick]) => [name, read(trick)]));
}
