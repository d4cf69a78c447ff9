/**
 * One server of the configuration's `servers` array: a command that is started (stdio), or a URL (Streamable HTTP).
 * The file tells them apart by the member that is there, `command` or `url`; exactly one must be.
 */

import { FormatError } from "../../kernel/errors.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { array, integer, json, mapped, object, optional, record, type Shape, string } from "../../kernel/shape.ts";
import { type ServerDataClass, serverDataClassShape } from "../catalog/data-class.ts";
import { type WantedPublisher, wantedPublisherShape } from "../catalog/publisher.ts";
import { type ServerOauth, serverOauthShape } from "./server-oauth.ts";
import { type ServerTlsConfig, serverTlsShape } from "./server-tls.ts";

/** A server that the gateway starts and speaks to over its standard streams. */
export type StdioUpstreamConfig = {
  readonly transport: "stdio";
  readonly id: string;
  /** Path of the executable, or a name that is looked up in PATH. */
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the few variables that every server gets. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /**
   * Each session of a legacy agent has a child of its own, at most so many at a time beside the one that all share. For servers
   * that keep state of their client, or ask it something.
   */
  readonly per_session?: number;
  /** What policies may read as attributes of the server. */
  readonly attributes: Readonly<Record<string, JsonValue>>;
  /** What holds for the data behind its tools. */
  readonly data?: ServerDataClass;
  /** Whose it must be. Default: nobody asks. */
  readonly publisher?: WantedPublisher;
  /** Hosts of the pages to which it may send users. Default none. */
  readonly elicitation_hosts?: readonly string[];
};

/** A server that is called over Streamable HTTP. */
export type HttpUpstreamConfig = {
  readonly transport: "http";
  readonly id: string;
  /** The endpoint; `http` or `https`, without user info and fragment. */
  readonly url: string;
  /** File with the bearer token that every call to this server carries; read by the caller. */
  readonly bearer_token_file?: string;
  /** The gateway's own credentials at an issuer that the server trusts; without `bearer_token_file`. */
  readonly oauth?: ServerOauth;
  /** Whose certificates it may show, and who it must be; for `https` only. */
  readonly tls?: ServerTlsConfig;
  /** What policies may read as attributes of the server. */
  readonly attributes: Readonly<Record<string, JsonValue>>;
  /** What holds for the data behind its tools. */
  readonly data?: ServerDataClass;
  /** Whose it must be. Default: nobody asks. */
  readonly publisher?: WantedPublisher;
  /** Hosts of the pages to which it may send users. Default none. */
  readonly elicitation_hosts?: readonly string[];
};

/** One configured server. */
export type UpstreamConfig = StdioUpstreamConfig | HttpUpstreamConfig;

type Attributes = Readonly<Record<string, JsonValue>>;
type StdioMembers = Omit<StdioUpstreamConfig, "transport" | "args" | "env" | "attributes"> & {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly attributes?: Attributes;
};
type HttpMembers = Omit<HttpUpstreamConfig, "transport" | "attributes"> & { readonly attributes?: Attributes };

const idShape: Shape<string> = string({
  pattern: /^[a-z0-9][a-z0-9-]{0,23}$/u,
  maxLength: 24,
  description: "a server id: 1 to 24 of a-z, 0-9 and -, not starting with -",
});
const attributesShape: Shape<Attributes> = record(json(), { max: 64, key: /^[A-Za-z_][A-Za-z0-9_]{0,63}$/u });
/** As URLs write it: lower case, Punycode, without the port of https. */
const pageHost: Shape<string> = mapped(string({ maxLength: 255, description: "a host, or host:port" }), (host) => {
  if (URL.canParse(`https://${host}/`) && new URL(`https://${host}/`).host === host) return host;
  throw new FormatError("ERR_SHAPE", "want a host, or host:port, as URLs write it");
});
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/u;

const stdioShape: Shape<StdioMembers> = object<StdioMembers>({
  id: idShape,
  command: string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a command" }),
  args: optional(array(string({ pattern: /^[^\0]*$/u, description: "an argument without NUL" }), { max: 256 })),
  env: optional(
    record(string({ pattern: /^[^\0]*$/u, description: "a value without NUL" }), { max: 256, key: ENV_NAME }),
  ),
  cwd: optional(string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a folder" })),
  per_session: optional(integer({ min: 1, max: 1_024 })),
  attributes: optional(attributesShape),
  data: optional(serverDataClassShape),
  publisher: optional(wantedPublisherShape),
  elicitation_hosts: optional(array(pageHost, { max: 64 })),
});

const httpShape: Shape<HttpMembers> = object<HttpMembers>({
  id: idShape,
  url: mapped(string({ maxLength: 2048, description: "a URL" }), checkUrl),
  bearer_token_file: optional(string({ maxLength: 4096 })),
  oauth: optional(serverOauthShape),
  tls: optional(serverTlsShape),
  attributes: optional(attributesShape),
  data: optional(serverDataClassShape),
  publisher: optional(wantedPublisherShape),
  elicitation_hosts: optional(array(pageHost, { max: 64 })),
});

/** A member of `servers`. Faults are ERR_SHAPE with the path of the member. */
export const upstreamConfigShape: Shape<UpstreamConfig> = {
  read: (value, path) => {
    const members = isJsonObject(value) ? Object.keys(value) : [];
    if (members.includes("command") && members.includes("url")) {
      throw new FormatError("ERR_SHAPE", `${path}: want either command or url, got both`);
    }
    if (!members.includes("url")) return stdioConfig(stdioShape.read(value, path));
    const http = httpShape.read(value, path);
    if (http.tls !== undefined && !http.url.startsWith("https:")) {
      throw new FormatError("ERR_SHAPE", `${path}.tls: want an https URL`);
    }
    if (http.oauth !== undefined && http.bearer_token_file !== undefined) {
      throw new FormatError("ERR_SHAPE", `${path}: want either bearer_token_file or oauth`);
    }
    return { ...http, transport: "http", attributes: http.attributes ?? {} };
  },
};

function stdioConfig(members: StdioMembers): StdioUpstreamConfig {
  const { args = [], env = {}, attributes = {} } = members;
  return { ...members, transport: "stdio", args, env, attributes };
}

/** Credentials have a file of their own: a URL with user info would end up in the catalog. */
function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url?.protocol === "http:" || url?.protocol === "https:";
  if (url === undefined || !isWeb || url.username !== "" || url.password !== "" || url.hash !== "") {
    throw new FormatError("ERR_SHAPE", "want an http or https URL without user info and fragment");
  }
  return text;
}
