/** What the configuration says about workflow tokens, ready for calls: issuers' keys are read when a token needs them. */

import { FormatError } from "../../kernel/errors.ts";
import type { SealedWorkflow } from "../../kernel/policy-artifact.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { ACCESS_TOKEN_ALGS } from "./jwk-keys.ts";
import { fetchJwks, KeySource } from "./key-source.ts";
import type { WorkflowConfig, WorkflowIssuer } from "./workflow-config.ts";
import type { WorkflowRules } from "./workflow-stage.ts";

/** What the rules are made with. */
export interface WorkflowDeps {
  readonly readFile: ((path: string) => Uint8Array) | undefined;
  readonly fetch: typeof fetch;
  readonly nowMs: () => number;
  readonly logger: Logger;
  /** The workflows of the sealed artifact in force; undefined if there is none. */
  readonly sealed: () => readonly SealedWorkflow[] | undefined;
}

const FLOOR_MS = 30_000;
const MAX_AGE_MS = 600_000;
/** Longest life of a token, where the configuration says nothing. */
export const MAX_TTL_SECONDS = 3_600;
const LEEWAY_SECONDS = 30;

/** @throws {FormatError} ERR_CONFIG: a file is named and nobody reads files */
export function workflowRules(config: WorkflowConfig, deps: WorkflowDeps): WorkflowRules {
  const { issuers, audience, scopes = [], required = {}, reuse = "session" } = config;
  if (deps.readFile === undefined && issuers.some(({ jwks_file: file }) => file !== undefined)) {
    throw new FormatError("ERR_CONFIG", "config.auth.workflows: a file is named, and none can be read here");
  }
  return {
    issuers: new Map(issuers.map((issuer) => [issuer.issuer, keysOf(issuer, deps)])),
    audience,
    maxTtlMs: (config.max_ttl_seconds ?? MAX_TTL_SECONDS) * 1000,
    leewayMs: (config.leeway_seconds ?? LEEWAY_SECONDS) * 1000,
    declared: (id) => (deps.sealed() ?? scopes).find((one) => one.id === id),
    required,
    acceptsCredentials: config.accepts_credentials === true,
    reuse,
  };
}

function keysOf({ issuer, jwks_file: file, jwks_url: url = "", algs }: WorkflowIssuer, deps: WorkflowDeps): KeySource {
  const { readFile, fetch, nowMs, logger } = deps;
  const load = async (): Promise<Uint8Array> =>
    file === undefined || readFile === undefined ? fetchJwks(fetch, url) : readFile(file);
  return new KeySource({
    issuer,
    algs: algs ?? ACCESS_TOKEN_ALGS,
    load,
    nowMs,
    floorMs: FLOOR_MS,
    maxAgeMs: MAX_AGE_MS,
    logger,
  });
}
