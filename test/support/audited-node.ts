/** A running auditor node over audited logs, in a folder that is removed afterwards. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ApiConfig, parseApiConfig } from "../../api/config.ts";
import { startApi } from "../../api/start.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import type { RunningService } from "../../kernel/service/service.ts";
import { type AuditedLog, READER_TOKEN } from "./audited-log.ts";
import { eventually } from "./ledger-service.ts";
import { policyText } from "./log-keys.ts";

/** Milliseconds of the node's clock. */
export const NODE_MS = 1_700_000_100_000;

/** An answer of GraphQL. */
export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape
  readonly data: any;
  readonly errors: readonly { readonly message: string; readonly code: string | undefined }[];
}

/** The node under test. */
export interface AuditedNode extends RunningService {
  readonly ask: (query: string, variables?: JsonObject) => Promise<Answer>;
  /** POST /graphql as the test wants it. */
  readonly post: (body: string | Uint8Array, headers?: Record<string, string>) => Promise<Response>;
  /** Resolves when the ledger of this name is in this state. */
  readonly untilState: (ledger: string, state: string) => Promise<void>;
  readonly remove: () => Promise<void>;
}

/** What can vary. */
export interface NodeOptions {
  readonly readers?: readonly string[];
  readonly limits?: ApiConfig["limits"];
  readonly dataDir?: string;
  /** Default: any free one. */
  readonly port?: number;
}

/** Starts a node that follows each log under its name. */
export async function startNode(
  logs: Readonly<Record<string, AuditedLog>>,
  options: NodeOptions = {},
): Promise<AuditedNode> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "countersign-api-")));
  const config = parseApiConfig({
    listen: { port: options.port ?? 0 },
    data_dir: dataDir,
    poll_ms: 20,
    ledgers: Object.keys(logs).map((name) => ({
      name,
      url: `http://${name}.test`,
      witness_policy: policyText(2),
      reader_token_file: "reader",
    })),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  const service = await startApi({
    config,
    tokens: {
      readers: options.readers ?? [],
      ledgers: new Map(Object.keys(logs).map((name) => [name, READER_TOKEN])),
    },
    version: "0.0.0-test",
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    clock: { nowMs: () => NODE_MS },
    fetch: (input, init) => {
      const log = logs[new URL(String(input)).hostname.replace(/\.test$/u, "")];
      return log === undefined ? Promise.reject(new TypeError("no such host")) : log.fetch(input, init);
    },
  });
  const { url } = service;
  const post = (body: string | Uint8Array, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : new Uint8Array(body),
    });
  const [token] = options.readers ?? [];
  const access: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const ask = async (query: string, variables: JsonObject = {}): Promise<Answer> =>
    readAnswer(await post(JSON.stringify({ query, variables }), access));
  const untilState = async (ledger: string, state: string): Promise<void> => {
    await eventually(async () => {
      const { data } = await ask("{ ledgers { name state } }");
      const found = data?.ledgers.find((each: { readonly name: string }) => each.name === ledger);
      return found?.state === state ? true : undefined;
    });
  };
  return {
    ...service,
    ask,
    post,
    untilState,
    remove: async () => {
      await service.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Data and errors of an answer. */
export async function readAnswer(response: Response): Promise<Answer> {
  const body = parseJson(await response.text()) as {
    readonly data?: JsonValue;
    readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[];
  };
  const errors = (body.errors ?? []).map(({ message, extensions }) => ({ message, code: extensions?.code }));
  return { status: response.status, data: body.data ?? null, errors };
}
