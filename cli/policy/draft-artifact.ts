/** An unsigned sealed artifact of what a configuration has now. Whoever signs it reads it first. */

import type { CatalogFile } from "../../gateway/catalog/catalog-file.ts";
import { digestOf } from "../../gateway/catalog/digests.ts";
import { GATEWAY_DEFAULTS, type GatewayConfig } from "../../gateway/config.ts";
import { allBounds, callLimitsOf } from "../../gateway/limits/call-limits.ts";
import type { PolicyBundle } from "../../gateway/policy/bundle.ts";
import { type PolicyArtifactBody, quarantineDigest } from "../../kernel/policy-artifact.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { sealedVersion } from "./sealed-version.ts";

/** What a draft is made from. */
export interface DraftFacts {
  readonly config: GatewayConfig;
  readonly bundle: PolicyBundle;
  readonly catalog: CatalogFile;
  readonly days: number;
  readonly nowMs: number;
}

const DAY_MS = 86_400_000;

/** The body: the version after the configured artifact's, every tool of the catalog, every configured principal. */
export function draftArtifact({ config, bundle, catalog, days, nowMs }: DraftFacts): PolicyArtifactBody {
  const servers = [...catalog.servers].sort((a, b) => (a.id < b.id ? -1 : 1));
  const principals = config.auth.tokens.map(({ principal }) => `local|${principal}`);
  return {
    kind: "policy-artifact",
    v: 2,
    version: sealedVersion(config.artifact?.file) + 1,
    gateway: config.artifact?.gateway ?? "gateway",
    not_before: formatTimestamp(nowMs),
    not_after: formatTimestamp(nowMs + days * DAY_MS),
    mode: config.mode ?? GATEWAY_DEFAULTS.mode,
    policy: { digest: bundle.digest, version: bundle.version },
    catalog: digestOf(catalog),
    subjects: [...new Set(principals)].sort().map((principal) => ({ principal })),
    tools: servers.map(({ id }) => `${id}/*`),
    upstreams: servers.map(({ id, identity }) => ({
      server: id,
      identity:
        identity.kind === "http"
          ? { kind: "http", url: identity.url }
          : { kind: "stdio", executable: identity.executable },
    })),
    limits: allBounds(callLimitsOf(config.limits ?? {})),
    workflows: [],
    phantom: false,
    quarantine: quarantineDigest(config.quarantine),
  };
}
