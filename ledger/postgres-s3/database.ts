/**
 * The one place that speaks to PostgreSQL (package `pg`): a pool, transactions that are tried again after a serialization
 * failure, and rows whose columns are read strictly. Plain SQL, no extension, no session state beyond a transaction, so that
 * any database that speaks PostgreSQL's protocol will do.
 */

import { Pool, type PoolClient, type PoolConfig } from "pg";
import { parseDecimal } from "../../kernel/decimal.ts";
import { invariant, isCodedError, StoreError } from "../../kernel/errors.ts";

/** Bounds that let a node go on when its database hangs, and free the locks of a node that hangs. */
const TIMEOUTS: PoolConfig = {
  connectionTimeoutMillis: 3000,
  query_timeout: 15_000,
  statement_timeout: 15_000,
  idle_in_transaction_session_timeout: 5000,
  keepAlive: true,
};
const MAX_CONNECTIONS = 8;
/** Attempts of one transaction, and the longest pause before the first of them that is repeated. */
const MAX_ATTEMPTS = 10;
const FIRST_PAUSE_MS = 5;

/** What a statement takes. */
export type SqlValue = string | number | bigint | Uint8Array | null | readonly Uint8Array[];

/** One row of a result, by column. */
export type SqlRow = Readonly<Record<string, unknown>>;

/** Runs statements: a connection, or the open transaction of one. */
export interface Sql {
  /** @throws {StoreError} ERR_DATABASE */
  readonly query: (text: string, values?: readonly SqlValue[]) => Promise<readonly SqlRow[]>;
}

/** The database of a node. */
export interface Database extends Sql {
  /**
   * Runs `work` in a transaction and commits it. After a serialization failure or a deadlock it runs anew from the start, so
   * it must not change anything outside that a second run would not put right.
   *
   * @throws {StoreError} ERR_DATABASE: the transaction did not commit, or nobody knows whether it did
   */
  readonly transaction: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>;
  readonly close: () => Promise<void>;
}

/**
 * Opens the pool; the first statement connects.
 *
 * @param url  connection string, `postgres://user:password@host/database`; it is never logged
 */
export function openDatabase(url: string): Database {
  const pool = new Pool({ connectionString: url, max: MAX_CONNECTIONS, ...TIMEOUTS });
  const checked = new WeakSet<PoolClient>();
  // A connection that breaks is thrown away by the pool; whoever uses it is told by its statement.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  const using = <T>(work: (sql: Sql) => Promise<T>): Promise<T> => useClient(pool, checked, work);
  return {
    query: (text, values) => using((sql) => sql.query(text, values)),
    transaction: (work) => retrying(() => using((sql) => runTransaction(sql, work))),
    close: () => pool.end(),
  };
}

async function useClient<T>(pool: Pool, checked: WeakSet<PoolClient>, work: (sql: Sql) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((cause: unknown) => {
    throw databaseFault(cause);
  });
  let isWhole = false;
  try {
    const sql = sqlOf(client);
    if (!checked.has(client)) await checkDurable(sql);
    checked.add(client);
    const result = await work(sql);
    isWhole = true;
    return result;
  } finally {
    // After a failure the state of the connection is unknown; a new one costs less than to find out.
    client.release(!isWhole);
  }
}

function sqlOf(client: PoolClient): Sql {
  return {
    query: async (text, values = []) => {
      try {
        const { rows } = await client.query<SqlRow>(text, values.map(parameterOf));
        return rows;
      } catch (cause) {
        throw databaseFault(cause);
      }
    },
  };
}

function parameterOf(value: SqlValue): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return bufferOf(value);
  return typeof value === "object" && value !== null ? value.map(bufferOf) : value;
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** READ COMMITTED is enough: what must not interleave holds the lock of one row. A stricter database may refuse and is asked again. */
async function runTransaction<T>(sql: Sql, work: (sql: Sql) => Promise<T>): Promise<T> {
  await sql.query("BEGIN ISOLATION LEVEL READ COMMITTED");
  try {
    const result = await work(sql);
    await sql.query("COMMIT");
    return result;
  } catch (error) {
    await sql.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}

async function retrying<T>(attempt: () => Promise<T>): Promise<T> {
  for (let count = 1; ; count += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (count >= MAX_ATTEMPTS || !mayBeRepeated(error)) throw error;
      const pauseMs = FIRST_PAUSE_MS * 2 ** Math.min(count, 6) * Math.random();
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

/** SQLSTATE 40001 serialization failure, 40P01 deadlock: the transaction is rolled back for sure. */
function mayBeRepeated(error: unknown): boolean {
  const state = isCodedError(error) ? sqlStateOf(error.cause) : undefined;
  return state === "40001" || state === "40P01";
}

/** The SQLSTATE of a refused statement; undefined if it was the connection that failed. */
export function sqlStateOf(cause: unknown): string | undefined {
  const code: unknown = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined;
  return typeof code === "string" && /^[0-9A-Z]{5}$/u.test(code) ? code : undefined;
}

function databaseFault(cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const what = sqlStateOf(cause) ?? "the connection failed";
  return new StoreError("ERR_DATABASE", `the database refused a statement or does not answer: ${what}`, { cause });
}

/**
 * An acknowledgement says that a commit is on disk. Databases that do not know a setting answer with null: they have no way
 * to give that up.
 */
async function checkDurable(sql: Sql): Promise<void> {
  const [row] = await sql.query(
    "SELECT current_setting('fsync', true) AS fsync, current_setting('synchronous_commit', true) AS synchronous_commit",
  );
  for (const name of ["fsync", "synchronous_commit"]) {
    if (row?.[name] !== "off") continue;
    throw new StoreError("ERR_DATABASE_SETTINGS", `${name} is off: a commit would not be durable`, { fatal: true });
  }
}

/** A column of type bigint or integer. */
export function bigintAt(row: SqlRow | undefined, name: string): bigint {
  const value = row?.[name];
  if (typeof value === "number") return BigInt(value);
  invariant(typeof value === "string", `column ${name} is no integer`);
  return parseDecimal(value);
}

/** A column of type bigint as it stands there, below zero too: for a check that names what no node writes. */
export function integerAt(row: SqlRow | undefined, name: string): bigint {
  const value = row?.[name];
  return typeof value === "string" && value.startsWith("-") ? -parseDecimal(value.slice(1)) : bigintAt(row, name);
}

/** A column of type bytea; a copy that nobody else holds. */
export function bytesAt(row: SqlRow | undefined, name: string): Uint8Array {
  const value = row?.[name];
  invariant(value instanceof Uint8Array, `column ${name} is no byte string`);
  return new Uint8Array(value);
}

/** A column of type text. */
export function textAt(row: SqlRow | undefined, name: string): string {
  const value = row?.[name];
  invariant(typeof value === "string", `column ${name} is no text`);
  return value;
}

/** True if the column holds a value. */
export function hasValue(row: SqlRow, name: string): boolean {
  return row[name] !== null && row[name] !== undefined;
}
