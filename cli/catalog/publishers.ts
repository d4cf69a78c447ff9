/** What a catalog's servers are by their publishers' statements, as an approver reads it before signing. */

import type { CatalogFile } from "../../gateway/catalog/catalog-file.ts";
import { type PublisherStanding, provePublishers, publisherStanding } from "../../gateway/catalog/publisher.ts";
import { type GatewayConfig, publisherRules } from "../../gateway/config.ts";
import { readBytes } from "../files.ts";
import { visible } from "../paint.ts";

type Servers = Pick<CatalogFile, "servers">;

/** A line for each server; empty if neither the configuration nor the catalog knows of publishers. */
export function renderPublishers(config: GatewayConfig, file: Servers): string {
  const standings = standingsOf(config, file);
  if ((config.catalog?.publishers ?? []).length === 0 && standings.every(isUnasked)) return "";
  return standings.map(({ id, standing }) => `publisher of ${id}: ${wordsOf(standing)}\n`).join("");
}

/**
 * Checks that each server is of the publisher that it must be of.
 *
 * @throws {CheckError} ERR_PUBLISHER_*
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE for a statement that is none
 */
export function checkPublishers(config: GatewayConfig, file: Servers): void {
  for (const { standing } of standingsOf(config, file)) {
    if ("error" in standing) throw standing.error;
  }
}

interface ServerStanding {
  readonly id: string;
  readonly standing: PublisherStanding;
}

function standingsOf(config: GatewayConfig, file: Servers): readonly ServerStanding[] {
  const proofs = provePublishers(publisherRules(config), file, readBytes);
  const nowMs = Date.now();
  return file.servers.map(({ id }) => ({ id, standing: publisherStanding(proofs.get(id), nowMs) }));
}

function isUnasked({ standing }: ServerStanding): boolean {
  return standing.provenance === "unchecked";
}

function wordsOf(standing: PublisherStanding): string {
  switch (standing.provenance) {
    case "unchecked":
      return "unchecked, the configuration asks for none";
    case "verified": {
      const { publisher, server, not_after } = standing.statement;
      return `verified ${publisher}, as ${server.name} ${server.version}, until ${not_after}`;
    }
    case "absent":
      return `missing: ${visible(standing.error.message)}`;
    case "catalog-mismatch":
      return `other: ${visible(standing.error.message)}`;
    case "invalid":
      return `invalid: ${visible(standing.error.message)}`;
  }
}
