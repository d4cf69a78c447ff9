/**
 * Has a log say something about itself: through the running ledger if it answers, else on the data folder, whose lock makes
 * sure that no ledger runs on it meanwhile.
 */

import { invariant, isCodedError, StoreError } from "../kernel/errors.ts";
import { parseJson } from "../kernel/json/parse.ts";
import type { JsonObject } from "../kernel/json/value.ts";
import { LEDGER_DEFAULTS } from "../ledger/config.ts";
import { openLedger } from "../ledger/ledger.ts";
import type { OperatorAction } from "../ledger/lifecycle/log-desk.ts";
import type { LedgerOptions } from "../ledger/options.ts";

/** What is done, and where. */
export interface Operation {
  readonly options: LedgerOptions;
  /** Prefix of the log's paths. */
  readonly prefix: string;
  /** Absent: only the status document is wanted. */
  readonly action?: OperatorAction;
  /** Says what would be done, and changes nothing. */
  readonly isDryRun: boolean;
  /** How long to wait for a witnessed checkpoint over what was said; 0 does not wait. */
  readonly waitMs: number;
}

/** What was done. */
export interface Operated {
  /** The statement; unsigned after a dry run, absent if none was wanted. */
  readonly statement: JsonObject | undefined;
  /** The status document with it; undefined if no witnessed checkpoint covered it in time. */
  readonly status: Uint8Array | undefined;
}

const TIMEOUT_MS = 30_000;
const POLL_MS = 100;

/**
 * Performs an operation.
 *
 * @throws {StoreError} ERR_SERVICE_ANSWER: the refusal of the running ledger, with its code; as `openLedger`, for a stopped one
 */
export async function operateLedger(operation: Operation): Promise<Operated> {
  const url = urlOf(operation);
  return (await isRunning(url)) ? operateRunning(url, operation) : operateFolder(operation);
}

function urlOf({ options: { config }, prefix }: Operation): string {
  const { host = LEDGER_DEFAULTS.host, port = LEDGER_DEFAULTS.port } = config.listen;
  const named = host.includes(":") ? `[${host}]` : host;
  return `http://${named === "0.0.0.0" ? "127.0.0.1" : named}:${port}${prefix}`;
}

async function isRunning(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/healthz`, { redirect: "error", signal: AbortSignal.timeout(TIMEOUT_MS) });
    await answer.body?.cancel();
    return true;
  } catch {
    return false;
  }
}

async function operateRunning(url: string, { options, action, isDryRun, waitMs }: Operation): Promise<Operated> {
  const token = options.operatorToken;
  if (token === undefined) {
    throw new StoreError("ERR_CONFIG", "the ledger runs, and operator_token_file is not configured: stop it first");
  }
  const done = action === undefined ? undefined : await post(url, token, { ...action, dry_run: isDryRun });
  const statement = done === undefined ? undefined : objectOf(done["statement"]);
  if (isDryRun) return { statement, status: undefined };
  const read = (): Promise<Uint8Array | undefined> => readStatus(url);
  return { statement, status: await awaitStatus(read, indexOf(done), waitMs) };
}

async function post(url: string, token: string, body: JsonObject): Promise<JsonObject> {
  const answer = await fetch(`${url}/operator/statements`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    redirect: "error",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const value = objectOf(parseJson(new Uint8Array(await answer.arrayBuffer())));
  if (answer.status === 200) return value;
  const { code, message } = objectOf(value["error"]);
  throw new StoreError(
    "ERR_SERVICE_ANSWER",
    `the ledger answered ${answer.status} ${String(code)}: ${String(message)}`,
  );
}

async function readStatus(url: string): Promise<Uint8Array | undefined> {
  const answer = await fetch(`${url}/log-status`, { redirect: "error", signal: AbortSignal.timeout(TIMEOUT_MS) });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  return answer.status === 200 ? bytes : undefined;
}

async function operateFolder({ options, action, isDryRun, waitMs }: Operation): Promise<Operated> {
  if (options.config.storage?.driver === "postgres-s3") {
    throw new StoreError("ERR_CONFIG", "the log is in PostgreSQL: start a node that takes entries, and say it there");
  }
  // Few checkpoints: no thread for them.
  const ledger = await openLedger({ ...options, signing: "inline" });
  try {
    const { management } = ledger;
    invariant(management !== undefined, "a ledger of a folder manages itself");
    const { desk, statusDesk } = management;
    if (isDryRun) return { statement: action && { ...desk.preview(action) }, status: undefined };
    const done = action === undefined ? undefined : await desk.perform(action);
    const read = (): Promise<Uint8Array | undefined> => statusDesk.document().catch(nothingYet);
    const index = done === undefined ? -1 : Number(done.index);
    return { statement: done?.statement, status: await awaitStatus(read, index, waitMs) };
  } finally {
    await ledger.close();
  }
}

function nothingYet(error: unknown): undefined {
  if (isCodedError(error) && error.code === "ERR_NOT_PUBLISHED") return undefined;
  throw error;
}

/** The first status document whose checkpoint covers the entry at `index`. */
async function awaitStatus(
  read: () => Promise<Uint8Array | undefined>,
  index: number,
  waitMs: number,
): Promise<Uint8Array | undefined> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    const bytes = await read();
    if (bytes !== undefined && sizeOf(bytes) > index) return bytes;
    if (performance.now() >= deadline) return undefined;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Size of the checkpoint of a status document; for waiting alone: nothing is verified. */
function sizeOf(bytes: Uint8Array): number {
  const { checkpoint } = objectOf(parseJson(bytes, { maxBytes: Number.MAX_SAFE_INTEGER }));
  return typeof checkpoint === "string" ? Number(checkpoint.split("\n")[1]) : 0;
}

function indexOf(done: JsonObject | undefined): number {
  const index = done?.["index"];
  return typeof index === "number" ? index : -1;
}

function objectOf(value: unknown): JsonObject {
  const json: unknown = value;
  if (isObject(json)) return json;
  throw new StoreError("ERR_SERVICE_ANSWER", "the ledger's answer is not what its interface says");
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
