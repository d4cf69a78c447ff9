/** Configuration of the storage of a log (docs/postgres-s3.md). */

import { FormatError } from "../../kernel/errors.ts";
import { integer, literal, mapped, object, optional, type Shape, string, tagged } from "../../kernel/shape.ts";
import type { ObjectStoreCredentials } from "./object-store.ts";

/** What a node does for its log. */
export type NodeRole = "admission" | "integrator" | "both";

/** Everything in one folder of one machine. */
export type FilesStorage = { readonly driver: "files" };

/** Sequencing in PostgreSQL, tiles in an S3-compatible store. */
export type PostgresS3Storage = {
  readonly driver: "postgres-s3";
  /** Default both. */
  readonly role?: NodeRole;
  /** File with the connection string of the database. */
  readonly database_url_file: string;
  /** `http(s)://host[:port]` of the store. */
  readonly s3_endpoint: string;
  /** Default us-east-1. */
  readonly s3_region?: string;
  readonly s3_bucket: string;
  /** In front of every key; one log, one prefix. Default none. */
  readonly s3_prefix?: string;
  /** File with `{"access_key_id", "secret_access_key", "session_token"}`. */
  readonly s3_credentials_file: string;
  /** Time until another integrator may take over from a silent one. Default 10,000. */
  readonly lease_ms?: number;
  /** Entries that may wait for the integrator before admission answers 429. Default 1,000,000. */
  readonly max_backlog?: number;
};

/** Where a log is kept. */
export type StorageConfig = FilesStorage | PostgresS3Storage;

/** Defaults of the optional members. */
export const STORAGE_DEFAULTS = {
  role: "both",
  region: "us-east-1",
  prefix: "",
  leaseMs: 10_000,
  maxBacklog: 1_000_000,
} as const;

const path = string({ pattern: /^[^\0]+$/, maxLength: 4096, description: "a path" });

/** Shape of `StorageConfig`. */
export const storageShape: Shape<StorageConfig> = tagged("driver", {
  files: object<FilesStorage>({ driver: literal("files") }),
  "postgres-s3": object<PostgresS3Storage>({
    driver: literal("postgres-s3"),
    role: optional(literal("admission", "integrator", "both")),
    database_url_file: path,
    s3_endpoint: mapped(string({ maxLength: 1024 }), checkEndpoint),
    s3_region: optional(string({ pattern: /^[a-z0-9-]+$/, maxLength: 64, description: "a region" })),
    s3_bucket: string({ pattern: /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, maxLength: 63, description: "a bucket name" }),
    s3_prefix: optional(
      string({
        pattern: /^(?:[A-Za-z0-9._-]+\/)*$/,
        maxLength: 512,
        description: "segments, each with a slash behind it",
      }),
    ),
    s3_credentials_file: path,
    lease_ms: optional(integer({ min: 1000, max: 600_000 })),
    max_backlog: optional(integer({ min: 1024, max: 100_000_000 })),
  }),
});

/** The secrets that the configuration names files for. */
export interface StorageSecrets {
  readonly databaseUrl: string;
  readonly credentials: ObjectStoreCredentials;
  /** How the object store is reached; default the runtime's `fetch`. */
  readonly fetch?: typeof fetch;
}

type CredentialsFile = {
  readonly access_key_id: string;
  readonly secret_access_key: string;
  readonly session_token?: string;
};

const secretText = string({ pattern: /^[\x21-\x7e]+$/, maxLength: 4096, description: "printable characters" });

/** The credentials file of an object store. */
export const credentialsShape: Shape<ObjectStoreCredentials> = mapped(
  object<CredentialsFile>({
    access_key_id: secretText,
    secret_access_key: secretText,
    session_token: optional(secretText),
  }),
  ({ access_key_id: accessKeyId, secret_access_key: secretAccessKey, session_token: sessionToken }) => ({
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
  }),
);

/** Reads a connection string. @throws {FormatError} ERR_CONFIG, without the string */
export function parseDatabaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "postgres:" || url?.protocol === "postgresql:") return text;
  throw new FormatError("ERR_CONFIG", "want postgres://user:password@host:port/database");
}

function checkEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url !== undefined && /^https?:$/u.test(url.protocol) && url.origin === text;
  if (isPlain) return text;
  throw new FormatError("ERR_SHAPE", "want http(s)://host[:port], without a path");
}
