/**
 * What the scanner of definitions finds in a catalog, and which of it blocks an approval: a finding that blocks is signed
 * only with an override by name and with a reason, which then stands in the catalog.
 */

import type { CatalogFile, CatalogOverride } from "../../gateway/catalog/catalog-file.ts";
import { type CatalogFinding, isBlocking, scanDefinitions } from "../../gateway/inspection/scan-definitions.ts";
import { CheckError } from "../../kernel/errors.ts";
import { isFindingCode } from "../../kernel/receipt/findings.ts";
import { UsageError } from "../command.ts";
import { type Paint, visible } from "../paint.ts";

const LISTS = {
  tool: "tools",
  prompt: "prompts",
  resource: "resources",
  "resource-template": "resource_templates",
  server: "server",
  instructions: "server",
} as const;

type Place = Pick<CatalogOverride, "server" | "list" | "name" | "finding">;

/** The findings as text, the worst first; empty if there are none. */
export function renderFindings(file: CatalogFile, paint: Paint): string {
  const order = ["block", "warn", "info"];
  const findings = [...scanDefinitions(file.servers)].sort(
    (a, b) => order.indexOf(a.severity) - order.indexOf(b.severity),
  );
  if (findings.length === 0) return "";
  return `findings of the scanner, which knows patterns and not meaning:\n${findings
    .map((finding) => lineOf(finding, file, paint))
    .join("")}`;
}

function lineOf(finding: CatalogFinding, file: CatalogFile, paint: Paint): string {
  const place = placeOf(finding);
  const { severity, pointer, count } = finding;
  const override = (file.overrides ?? []).find((other) => isAbout(other, place));
  const said = override === undefined ? "" : ` (overridden by ${override.approver}: ${visible(override.reason)})`;
  const colour = severity === "block" ? "red" : "yellow";
  const where = pointer === "" ? "" : ` at ${visible(pointer)}`;
  return `  ${paint(colour, severity.padEnd(5))} ${formatPlace(place)}${where}, ${count} times${said}\n`;
}

/**
 * Reads `--override` words, `<server>/<list>/<name>:<finding>` or `<server>/server:<finding>`.
 *
 * @throws {UsageError}
 */
export function readOverrides(
  words: readonly string[],
  approver: string | undefined,
  reason: string | undefined,
): readonly CatalogOverride[] {
  if (words.length === 0) return [];
  if (approver === undefined || reason === undefined) throw new UsageError("--override needs --name and --reason");
  return words.map((word) => ({ ...readPlace(word), approver, reason }));
}

function readPlace(word: string): Place {
  const [, server = "", listed = "", name = "", finding = ""] =
    /^([a-z0-9-]+)\/([a-z_]+)(?:\/(.*))?:([^:]+)$/su.exec(word) ?? [];
  const list = Object.values(LISTS).find((known) => known === listed);
  if (list !== undefined && isFindingCode(finding)) return { server, list, name, finding };
  throw new UsageError(`--override: want <server>/<list>/<name>:<finding> or <server>/server:<finding>, not "${word}"`);
}

/**
 * Checks that every finding that blocks is overridden, and that every new override is about a finding.
 *
 * @throws {CheckError} ERR_CATALOG_FINDING naming the places
 * @throws {UsageError} for an override of what was not found
 */
export function checkFindings(file: CatalogFile, added: readonly CatalogOverride[]): void {
  const places = scanDefinitions(file.servers);
  const stray = added.find((override) => !places.some((finding) => isAbout(override, placeOf(finding))));
  if (stray !== undefined) throw new UsageError(`--override: there is no finding ${formatPlace(stray)}`);
  const overrides = [...(file.overrides ?? []), ...added];
  const open = places
    .filter(isBlocking)
    .map(placeOf)
    .filter((place) => !overrides.some((override) => isAbout(override, place)));
  if (open.length === 0) return;
  const words = [...new Set(open.map(formatPlace))].join(", ");
  throw new CheckError("ERR_CATALOG_FINDING", `nothing was signed; these findings block: ${words}`);
}

function placeOf({ server, subject, name, rule }: CatalogFinding): Place {
  const list = LISTS[subject];
  return { server, list, name: list === "server" ? "" : name, finding: rule };
}

function isAbout(a: Place, b: Place): boolean {
  return a.server === b.server && a.list === b.list && a.name === b.name && a.finding === b.finding;
}

/** As `--override` takes it. */
function formatPlace({ server, list, name, finding }: Place): string {
  return `${server}/${list}${list === "server" ? "" : `/${visible(name)}`}:${finding}`;
}
