/** Everything that a server advertises, in the bytes that it sent, all pages, within bounds. */

import { CheckError, StoreError } from "../../kernel/errors.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import type { ListedSurface } from "../pipeline/call.ts";
import { itemSpans, spanOf } from "../wire/spans.ts";
import type { Leg } from "./leg.ts";
import { resultOf } from "./own-request.ts";
import type { UpstreamReply } from "./upstream.ts";
import type { UpstreamLimits } from "./upstream-limits.ts";

/** Asks the server for one page. */
export type AskPage = (method: string, params: JsonObject) => Promise<UpstreamReply>;

type List = "tools" | "prompts" | "resources" | "resourceTemplates";

const LISTS: readonly { readonly list: List; readonly method: string; readonly capability: string }[] = [
  { list: "tools", method: "tools/list", capability: "tools" },
  { list: "prompts", method: "prompts/list", capability: "prompts" },
  { list: "resources", method: "resources/list", capability: "resources" },
  { list: "resourceTemplates", method: "resources/templates/list", capability: "resources" },
];

/**
 * Lists the surface of a server.
 *
 * @throws {StoreError} ERR_UPSTREAM on an answer that is no list
 * @throws {CheckError} ERR_UPSTREAM_SURFACE above a bound, or on a cursor that comes twice
 */
export async function listSurface(leg: Leg, id: string, ask: AskPage, limits: UpstreamLimits): Promise<ListedSurface> {
  const { capabilities, serverInfo, instructions } = leg;
  const room = new Room(id, limits);
  room.take(JSON.stringify(capabilities).length + (instructions?.length ?? 0));
  const lists: Record<List, readonly string[]> = { tools: [], prompts: [], resources: [], resourceTemplates: [] };
  for (const { list, method, capability } of LISTS) {
    if (capabilities[capability] !== undefined) lists[list] = await listAll(list, method, room, ask);
  }
  return { serverInfo, capabilities, ...lists, ...(instructions === undefined ? {} : { instructions }) };
}

/** What one listing may take in all, of characters and of time. */
class Room {
  readonly id: string;
  readonly limits: UpstreamLimits;
  readonly #endAtMs: number;
  #length = 0;

  constructor(id: string, limits: UpstreamLimits) {
    this.id = id;
    this.limits = limits;
    this.#endAtMs = performance.now() + limits.totalMs;
  }

  /** @throws {CheckError} ERR_UPSTREAM_SURFACE */
  take(length: number): void {
    this.#length += length;
    const { maxSurfaceLength, totalMs } = this.limits;
    if (this.#length > maxSurfaceLength) {
      throw new CheckError(
        "ERR_UPSTREAM_SURFACE",
        `${this.id}: definitions above ${maxSurfaceLength} characters together`,
      );
    }
    if (performance.now() > this.#endAtMs) {
      throw new CheckError("ERR_UPSTREAM_SURFACE", `${this.id}: the lists are not there within ${totalMs} ms`);
    }
  }
}

async function listAll(list: List, method: string, room: Room, ask: AskPage): Promise<readonly string[]> {
  const { id, limits } = room;
  const texts: string[] = [];
  const cursors = new Set<string>();
  let params: JsonObject = {};
  for (;;) {
    const reply = await ask(method, params);
    // A server may offer a capability and not every list of it.
    if (isUnknownMethod(reply)) return texts;
    const items = itemsOf(reply, list, `${id}: ${method}`);
    texts.push(...items);
    checkBounds(texts, id, method, limits);
    room.take(items.reduce((sum, { length }) => sum + length, 0));
    const cursor = resultOf(reply)?.["nextCursor"];
    if (typeof cursor !== "string") return texts;
    room.take(cursor.length);
    if (cursors.has(cursor)) throw new CheckError("ERR_UPSTREAM_SURFACE", `${id}: ${method}: a cursor came twice`);
    if (cursors.add(cursor).size >= limits.maxPages) {
      throw new CheckError("ERR_UPSTREAM_SURFACE", `${id}: ${method}: more than ${limits.maxPages} pages`);
    }
    params = { cursor };
  }
}

function itemsOf(reply: UpstreamReply, list: List, what: string): readonly string[] {
  if (reply.type !== "answered") throw new StoreError("ERR_UPSTREAM", `${what}: ${reply.reason}`);
  const items = resultOf(reply)?.[list];
  const span = spanOf(reply.text, ["result", list]);
  if (!Array.isArray(items) || !items.every(isJsonObject) || span === undefined) {
    throw new StoreError("ERR_UPSTREAM", `${what}: want a list of objects`);
  }
  return itemSpans(reply.text, span.start).map(({ start, end }) => reply.text.slice(start, end));
}

function isUnknownMethod(reply: UpstreamReply): boolean {
  const error = reply.type === "answered" ? reply.body["error"] : undefined;
  return isJsonObject(error) && error["code"] === -32601;
}

function checkBounds(texts: readonly string[], id: string, method: string, limits: UpstreamLimits): void {
  if (texts.length > limits.maxDefinitions) {
    throw new CheckError("ERR_UPSTREAM_SURFACE", `${id}: ${method}: more than ${limits.maxDefinitions} definitions`);
  }
  if (texts.some((text) => text.length > limits.maxDefinitionBytes)) {
    const bound = limits.maxDefinitionBytes;
    throw new CheckError("ERR_UPSTREAM_SURFACE", `${id}: ${method}: a definition above ${bound} characters`);
  }
}
