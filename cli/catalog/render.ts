/** Catalogs and their differences as text: both digests of everything, and nothing invisible. */

import type { Approver } from "../../gateway/catalog/catalog-approval.ts";
import type { DefinitionDiff, DigestDiff, MemberDiff, ServerDiff } from "../../gateway/catalog/catalog-diff.ts";
import { DEFINITION_LISTS } from "../../gateway/catalog/catalog-diff.ts";
import type { CatalogEntry, CatalogFile, StoredCatalog } from "../../gateway/catalog/catalog-file.ts";
import { digestOf } from "../../gateway/catalog/digests.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { type Paint, visible } from "../paint.ts";

/** The differences, one block a server. */
export function renderDiff(diffs: readonly ServerDiff[], paint: Paint): string {
  if (diffs.length === 0) return "no difference\n";
  return diffs.map((diff) => renderServer(diff, paint)).join("\n");
}

function renderServer({ server, change, surface, members, definitions }: ServerDiff, paint: Paint): string {
  const lines = [
    `${paint("bold", visible(server))}  ${change}`,
    ...digestLines("surface", surface, "  ", paint),
    ...members.flatMap((member) => memberLines(member, "  ", paint)),
    ...definitions.flatMap((definition) => definitionLines(definition, paint)),
  ];
  return `${lines.join("\n")}\n`;
}

const MARKS = {
  added: ["green", "+"],
  removed: ["red", "-"],
  changed: ["yellow", "~"],
  cosmetic: ["yellow", "≈"],
} as const;

function definitionLines({ list, name, change, model, full, members }: DefinitionDiff, paint: Paint): string[] {
  const [colour, mark] = MARKS[change];
  return [
    `  ${paint(colour, `${mark} ${list}/${visible(name)}`)}  ${change}`,
    ...digestLines("model", model, "      ", paint),
    ...digestLines("full ", full, "      ", paint),
    ...members.flatMap((member) => memberLines(member, "      ", paint)),
  ];
}

function digestLines(what: string, { before, after }: DigestDiff, indent: string, paint: Paint): string[] {
  if (before === after) return [`${indent}${what} ${before ?? "none"} (same)`];
  return [
    `${indent}${what} ${paint("red", before ?? "none")}`,
    `${indent}${" ".repeat(what.length - 1)}→ ${paint("green", after ?? "none")}`,
  ];
}

function memberLines({ pointer, before, after }: MemberDiff, indent: string, paint: Paint): string[] {
  return [
    `${indent}${pointer === "" ? "(whole)" : visible(pointer)}`,
    ...valueLines("-", before).map((line) => `${indent}${paint("red", line)}`),
    ...valueLines("+", after).map((line) => `${indent}${paint("green", line)}`),
  ];
}

function valueLines(mark: string, value: JsonValue | undefined): string[] {
  if (value === undefined) return [];
  // One value a line: what JSON escapes stays escaped, so a line feed in a text cannot draw a line of its own.
  return JSON.stringify(value, null, 2)
    .split("\n")
    .map((line) => `  ${mark} ${visible(line)}`);
}

/** A catalog: what it is, what is in it, who signed it. */
export function renderCatalog(
  { file, signatures }: Omit<StoredCatalog, "file"> & { readonly file: CatalogFile },
  approvers: readonly Approver[],
  paint: Paint,
): string {
  const nameOf = (kid: string): string =>
    approvers.find(({ key }) => key.kid === kid)?.name ?? "(not a configured approver)";
  const lines = [
    `catalog ${digestOf(file)}`,
    ...(file.version === undefined ? ["without version: for review, not for signatures"] : revisionLines(file)),
    ...file.servers.flatMap((entry) => entryLines(entry, paint)),
    ...(file.overrides ?? []).map(
      ({ server, list, name, finding, approver, reason }) =>
        `override ${finding} in ${server}/${list}/${visible(name)} by ${approver}: ${visible(reason)}`,
    ),
    ...(file.version !== undefined && signatures.length === 0 ? ["signed by nobody"] : []),
    ...signatures.map(({ kid }) => `signature ${kid} ${nameOf(kid)}`),
  ];
  return `${lines.join("\n")}\n`;
}

function revisionLines({ version, previous }: CatalogFile): string[] {
  return [`version ${version}, replaces ${previous ?? "nothing"}`];
}

function entryLines(entry: CatalogEntry, paint: Paint): string[] {
  return [
    `${paint("bold", entry.id)}  ${visible(JSON.stringify(entry.identity))}`,
    `  surface ${entry.surface}`,
    ...(entry.publisher === undefined ? [] : [`  publisher ${entry.publisher.name}, as ${entry.publisher.server}`]),
    ...DEFINITION_LISTS.flatMap((list) =>
      entry[list].flatMap(({ name, model, full, approved_by }) => [
        `  ${list}/${visible(name)}  approved by ${approved_by}`,
        `    model ${model}`,
        `    full  ${full}`,
      ]),
    ),
  ];
}
