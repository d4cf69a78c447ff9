/**
 * Looks at the definitions of all servers together: each by itself, and against the others for shadowing, clones and names that
 * read like another (mcp-gateway §14.3). What `countersign catalog` shows before an approval, and what quarantines at first use.
 */

import type { Finding } from "../../kernel/receipt/inspection.ts";
import type { CatalogEntry, PinnedDefinition } from "../catalog/catalog-file.ts";
import type { DefinitionKind } from "../catalog/digests.ts";
import { scanDefinition } from "./definition-scan.ts";
import { steeringOf } from "./inj-tool.ts";
import { KNOWN_PACKAGES, KNOWN_SERVERS } from "./known-servers.ts";
import { looksLike } from "./look-alike.ts";
import { packageOf } from "./package-of.ts";
import { countByRule, findInText } from "./text-findings.ts";

/** What is scanned of a catalog entry. */
export type ScannedEntry = Pick<
  CatalogEntry,
  "id" | "identity" | "instructions" | "tools" | "prompts" | "resources" | "resource_templates"
>;

/** A finding and what it is about. */
export interface CatalogFinding extends Finding {
  readonly server: string;
  readonly subject: DefinitionKind | "server" | "instructions";
  /** Name, URI or URI template of the definition; the server's id otherwise. */
  readonly name: string;
}

const LISTS = [
  ["tool", "tools"],
  ["prompt", "prompts"],
  ["resource", "resources"],
  ["resource-template", "resource_templates"],
] as const;

/** Findings of all entries, in their order. Cost: linear in the text, and the names of each server against each other's. */
export function scanDefinitions(entries: readonly ScannedEntry[]): readonly CatalogFinding[] {
  return entries.flatMap((entry) => {
    const others = entries.filter(({ id }) => id !== entry.id);
    return [
      ...scanServer(entry, others),
      ...scanInstructions(entry, others),
      ...scanLists(entry, others),
      ...scanTools(entry, others),
    ];
  });
}

/** True if a definition may not be offered before somebody approved it by name. */
export function isBlocking({ severity }: Pick<Finding, "severity">): boolean {
  return severity === "block";
}

function scanServer({ id, identity }: ScannedEntry, others: readonly ScannedEntry[]): readonly CatalogFinding[] {
  const about = { server: id, subject: "server", name: id, pointer: "", count: 1 } as const;
  const names = [...others.map((other) => other.id), ...KNOWN_SERVERS];
  const findings: CatalogFinding[] = names.some((name) => looksLike(id, name))
    ? [{ ...about, rule: "name.look-alike", severity: "block" }]
    : [];
  const used = packageOf(identity);
  if (used === undefined) return findings;
  if (!used.isPinned) findings.push({ ...about, rule: "supply.unpinned", severity: "warn" });
  if (KNOWN_PACKAGES.some((known) => looksLike(used.name, known))) {
    findings.push({ ...about, rule: "name.look-alike", severity: "block", pointer: "/identity/args" });
  }
  return findings;
}

function scanInstructions(
  { id, instructions }: ScannedEntry,
  others: readonly ScannedEntry[],
): readonly CatalogFinding[] {
  if (instructions === null) return [];
  const found = findInText(instructions, { surface: "definition", steering: steeringAgainst(others) });
  return countByRule(found).map((count) => ({ ...count, pointer: "", server: id, subject: "instructions", name: id }));
}

function scanLists(entry: ScannedEntry, others: readonly ScannedEntry[]): readonly CatalogFinding[] {
  const steering = steeringAgainst(others);
  return LISTS.flatMap(([kind, list]) =>
    entry[list].flatMap(({ name, text }) =>
      scanDefinition(kind, text, { steering }).map((finding) => ({
        ...finding,
        server: entry.id,
        subject: kind,
        name,
      })),
    ),
  );
}

function steeringAgainst(others: readonly ScannedEntry[]): RegExp | undefined {
  return steeringOf(others.flatMap(({ tools }) => tools.map(({ name }) => name)));
}

/** Tools against those of other servers: the same definition, and names that read alike. */
function scanTools(entry: ScannedEntry, others: readonly ScannedEntry[]): readonly CatalogFinding[] {
  const foreign = others.flatMap(({ tools }) => tools);
  return entry.tools.flatMap((tool) => compareTool(tool, foreign).map((finding) => ({ ...finding, server: entry.id })));
}

function compareTool(
  { name, model }: PinnedDefinition,
  foreign: readonly PinnedDefinition[],
): readonly Omit<CatalogFinding, "server">[] {
  const about = { subject: "tool", name, pointer: "/name", severity: "warn", count: 1 } as const;
  const isClone = foreign.some((other) => other.name === name && other.model === model);
  const isAlike = foreign.some((other) => looksLike(name, other.name));
  return [
    ...(isClone ? [{ ...about, rule: "name.clone" } as const] : []),
    ...(isAlike ? [{ ...about, rule: "name.look-alike" } as const] : []),
  ];
}
