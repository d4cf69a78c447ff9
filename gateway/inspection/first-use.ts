/**
 * What a pin at first use leaves out: whatever the scanner of definitions would refuse to have signed. Nobody has looked at
 * what is pinned so, so what blocks is neither offered nor called until somebody approves it by name.
 */

import { type CatalogEntry, type CatalogFile, surfaceOf } from "../catalog/catalog-file.ts";
import { type CatalogFinding, isBlocking, scanDefinitions } from "./scan-definitions.ts";

/** The catalog without what blocks, and why. */
export interface Screened {
  readonly file: CatalogFile;
  /** Findings that block, in the scanner's order. */
  readonly blocked: readonly CatalogFinding[];
}

/** Screens a catalog that nobody has reviewed. Servers stay, whatever they are called: the configuration names them. */
export function screenFirstUse(file: CatalogFile): Screened {
  const blocked = scanDefinitions(file.servers).filter(isBlocking);
  const servers = file.servers.map((entry) =>
    screen(
      entry,
      blocked.filter(({ server }) => server === entry.id),
    ),
  );
  return { file: { ...file, servers }, blocked };
}

function screen(entry: CatalogEntry, blocked: readonly CatalogFinding[]): CatalogEntry {
  if (blocked.length === 0) return entry;
  const without = <T extends { readonly name: string }>(
    list: readonly T[],
    of: CatalogFinding["subject"],
  ): readonly T[] =>
    list.filter(({ name }) => !blocked.some((finding) => finding.subject === of && finding.name === name));
  const kept = {
    ...entry,
    instructions: blocked.some(({ subject }) => subject === "instructions") ? null : entry.instructions,
    tools: without(entry.tools, "tool"),
    prompts: without(entry.prompts, "prompt"),
    resources: without(entry.resources, "resource"),
    resource_templates: without(entry.resource_templates, "resource-template"),
  };
  return { ...kept, surface: surfaceOf(kept) };
}
