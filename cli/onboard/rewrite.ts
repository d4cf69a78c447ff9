/**
 * One server of a host's file, and what it becomes: its command behind `countersign wrap`, its URL behind the gateway's.
 * Pure. What cannot be governed without changing what it does is left as it is, with the reason.
 */

import { createHash } from "node:crypto";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";

/** How this installation is reached from a host's file. */
export interface Installation {
  /** Absolute path of the running Node. */
  readonly node: string;
  /** Absolute path of the command's main file. */
  readonly main: string;
  /** Absolute path of the gateway's configuration. */
  readonly config: string;
  /** `http://host:port` of the gateway. */
  readonly gatewayUrl: string;
  /** The words that start a command, resolved to an absolute path; undefined if it is not found. */
  readonly resolveCommand: (command: string) => readonly string[] | undefined;
}

/** A server that the gateway calls from now on. */
export interface RemoteServer {
  readonly id: string;
  readonly url: string;
  /** The token that the host had for it. */
  readonly token: string | undefined;
}

/** What becomes of an entry. */
export type Rewriting =
  /** `members` replace those of the entry, the others stay. `remote` goes into the gateway's configuration. */
  | { readonly kind: "rewrite"; readonly id: string; readonly members: JsonObject; readonly remote?: RemoteServer }
  | { readonly kind: "governed" }
  | { readonly kind: "left"; readonly reason: string };

/** Gives ids: the same one for the same server, wherever it is configured. */
export class ServerIds {
  readonly #digests: Map<string, string>;

  /** @param known  ids of earlier runs with the SHA-256 of what they stand for */
  constructor(known: ReadonlyMap<string, string> = new Map()) {
    this.#digests = new Map(known);
  }

  /** @param identity  what the server is: its words, or its URL. Kept as a hash: words may hold secrets */
  idOf(name: string, identity: string): string {
    const [plain, digest] = [slug(name), createHash("sha256").update(identity).digest("hex")];
    const isFree = (this.#digests.get(plain) ?? digest) === digest;
    const id = isFree ? plain : `${plain.slice(0, 19)}-${digest.slice(0, 4)}`;
    this.#digests.set(id, digest);
    return id;
  }

  known(): ReadonlyMap<string, string> {
    return this.#digests;
  }
}

function slug(name: string): string {
  const text = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/gu, "-")
    .replace(/^-+/u, "")
    .slice(0, 24)
    .replace(/-+$/u, "");
  return text === "" ? "server" : text;
}

/** Says what becomes of the entry `name`. */
export function rewriteEntry(
  name: string,
  entry: JsonValue,
  {
    installation,
    ids,
    takesUrls,
    hostToken,
  }: {
    readonly installation: Installation;
    readonly ids: ServerIds;
    readonly takesUrls: boolean;
    /** The token that the host has at the gateway. */
    readonly hostToken: string;
  },
): Rewriting {
  if (!isJsonObject(entry)) return left("it is not an object");
  const { command, url, type } = entry;
  if (typeof command === "string" && (type === undefined || type === "stdio")) {
    return rewriteCommand(name, entry, command, installation, ids);
  }
  if (typeof url !== "string") return left("it has neither a command nor a URL");
  if (!takesUrls) return left("this host starts commands only");
  return rewriteUrl(name, entry, url, { installation, ids, hostToken });
}

function rewriteCommand(
  name: string,
  entry: JsonObject,
  command: string,
  { node, main, config, resolveCommand }: Installation,
  ids: ServerIds,
): Rewriting {
  const args = readWords(entry["args"]);
  if (args === undefined) return left("its arguments are not a list of texts");
  if (args.includes("wrap") && args.includes("--config")) return { kind: "governed" };
  if (entry["envFile"] !== undefined)
    return left("it takes its environment from a file, whose names are not known here");
  const names = environmentNames(entry["env"]);
  if (names === undefined) return left("its environment has a name that cannot be carried");
  // A variable is put in by the host, which alone knows its value.
  const found = command.includes("${") ? [command] : resolveCommand(command);
  if (found === undefined) return left(`the command ${JSON.stringify(command)} is not found in PATH`);
  const words = [...found, ...args];
  const id = ids.idOf(name, JSON.stringify(words));
  const env = names.length === 0 ? [] : ["--env", names.join(",")];
  const wrap = [main, "wrap", "--config", config, "--id", id, ...env, "--", ...words];
  return { kind: "rewrite", id, members: { command: node, args: wrap } };
}

/** Names of the variables that the host sets for the server, sorted; undefined if one of them is no plain name. */
function environmentNames(env: JsonValue | undefined): readonly string[] | undefined {
  if (env === undefined) return [];
  if (!isJsonObject(env)) return undefined;
  const names = Object.keys(env).filter((key) => env[key] !== null);
  return names.every((each) => /^[A-Za-z_][A-Za-z0-9_]*$/u.test(each)) ? names.sort() : undefined;
}

function readWords(args: JsonValue | undefined): readonly string[] | undefined {
  if (args === undefined) return [];
  if (!Array.isArray(args)) return undefined;
  const words = args.filter((word: JsonValue) => typeof word === "string");
  return words.length === args.length ? words : undefined;
}

function rewriteUrl(
  name: string,
  entry: JsonObject,
  url: string,
  {
    installation,
    ids,
    hostToken,
  }: {
    readonly installation: Installation;
    readonly ids: ServerIds;
    readonly hostToken: string;
  },
): Rewriting {
  if (url.startsWith(`${installation.gatewayUrl}/`)) return { kind: "governed" };
  const web = webUrl(url);
  if (web === undefined) return left("its URL is not one that can be carried");
  const credentials = readCredentials(entry);
  if (typeof credentials === "string") return left(credentials);
  const { token } = credentials;
  if (token === undefined && !isLoopback(web.hostname))
    return left("it has no token here, so it probably asks for OAuth");
  const id = ids.idOf(name, url);
  // The gateway speaks Streamable HTTP toward the host, whatever the server speaks: HTTP+SSE (`sse`) too.
  const type = entry["type"] === undefined ? {} : { type: "http" };
  const members = {
    ...type,
    url: `${installation.gatewayUrl}/s/${id}/mcp`,
    headers: { Authorization: `Bearer ${hostToken}` },
  };
  return { kind: "rewrite", id, members, remote: { id, url, token } };
}

function webUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url?.protocol === "http:" || url?.protocol === "https:";
  const isPlain =
    url !== undefined && url.username === "" && url.password === "" && url.hash === "" && !text.includes("${");
  return isWeb && isPlain ? url : undefined;
}

const MIN_TOKEN_CHARACTERS = 32;

/** The bearer token of an entry, if it has one; else why its credentials cannot be carried. */
function readCredentials(entry: JsonObject): { readonly token: string | undefined } | string {
  if (entry["oauth"] !== undefined || entry["auth"] !== undefined) return "it uses OAuth";
  if (entry["headersHelper"] !== undefined) return "it gets its headers from a program";
  const headers = entry["headers"] ?? {};
  if (!isJsonObject(headers)) return "its headers are not an object";
  const names = Object.keys(headers);
  if (names.length === 0) return { token: undefined };
  const [name = ""] = names;
  if (names.length > 1 || name.toLowerCase() !== "authorization") return "it has other headers than Authorization";
  const [, token] = /^Bearer ([^\s$]+)$/u.exec(String(headers[name])) ?? [];
  if (token === undefined) return "its Authorization is not a bearer token that is written out";
  return token.length < MIN_TOKEN_CHARACTERS
    ? `its token is shorter than ${MIN_TOKEN_CHARACTERS} characters`
    : { token };
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\./u.test(hostname);
}

function left(reason: string): Rewriting {
  return { kind: "left", reason };
}
