/** What `init` would do: for each file of a host its servers, what becomes of each, and the text of the whole afterwards. */

import { existsSync } from "node:fs";
import { packageOf } from "../../gateway/inspection/package-of.ts";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { readBytes } from "../files.ts";
import type { HostGateway } from "./host-gateway.ts";
import type { HostFile } from "./hosts.ts";
import { changeJsonc, type Place, readJsonc, valueAt } from "./jsonc.ts";
import { type Installation, type Rewriting, rewriteEntry, type ServerIds } from "./rewrite.ts";

/** One server of a file. */
export interface PlannedServer {
  readonly name: string;
  readonly place: Place;
  readonly entry: JsonValue;
  readonly rewriting: Rewriting;
}

/** One file. */
export interface PlannedFile {
  readonly file: HostFile;
  readonly before: Uint8Array;
  /** Equal to the text of `before` if nothing changes. */
  readonly after: string;
  readonly servers: readonly PlannedServer[];
  /** Why the file cannot be read, if it cannot. */
  readonly fault?: string;
}

/** The files that are there, each planned. */
export function planFiles(
  files: readonly HostFile[],
  installation: Installation,
  gateway: Pick<HostGateway, "token">,
  ids: ServerIds,
): readonly PlannedFile[] {
  return files
    .filter(({ path }) => existsSync(path))
    .map((file) =>
      planFile(file, { installation, ids, takesUrls: file.takesUrls, hostToken: gateway.token(file.host) }),
    );
}

function planFile(file: HostFile, options: Parameters<typeof rewriteEntry>[2]): PlannedFile {
  const before = readBytes(file.path);
  const text = textOf(before);
  const value = text === undefined ? undefined : readJsonc(text);
  if (text === undefined || value === undefined) {
    return { file, before, after: text ?? "", servers: [], fault: "it is not JSON, with or without comments" };
  }
  const servers = file.places.flatMap((place) => {
    const found = valueAt(value, place);
    if (found === undefined || !isJsonObject(found)) return [];
    return Object.entries(found).flatMap(([name, entry]): readonly PlannedServer[] =>
      entry === undefined
        ? []
        : [{ name, place: [...place, name], entry, rewriting: rewriteEntry(name, entry, options) }],
    );
  });
  return { file, before, after: servers.reduce(applied, text), servers };
}

function applied(text: string, { place, rewriting }: PlannedServer): string {
  if (rewriting.kind !== "rewrite") return text;
  return Object.entries(rewriting.members).reduce(
    (changed, [member, value]) => (value === undefined ? changed : changeJsonc(changed, [...place, member], value)),
    text,
  );
}

/** The package that a command fetches without an exact version: another one may run tomorrow. Undefined if there is none. */
export function unpinnedPackage({ entry }: PlannedServer): string | undefined {
  if (!isJsonObject(entry)) return undefined;
  const { command, args } = entry;
  const words = Array.isArray(args) ? args.filter((word: JsonValue) => typeof word === "string") : [];
  if (typeof command !== "string") return undefined;
  const used = packageOf({ kind: "stdio", command, args: words, executable: "" });
  return used === undefined || used.isPinned ? undefined : used.name;
}

/** The entry as it will be. */
export function entryAfter({ entry, rewriting }: PlannedServer): JsonValue {
  return rewriting.kind === "rewrite" && isJsonObject(entry) ? { ...entry, ...rewriting.members } : entry;
}

/** An entry for showing: values of variables and headers, which may be secrets, are left out. */
export function masked(entry: JsonValue): JsonValue {
  if (!isJsonObject(entry)) return entry;
  const shown = Object.entries(entry).map(([key, value = null]): readonly [string, JsonValue] => {
    const isSecret = (key === "env" || key === "headers") && isJsonObject(value);
    return [key, isSecret ? Object.fromEntries(Object.keys(value).map((name) => [name, "…"])) : value];
  });
  return Object.fromEntries(shown);
}

/** A file in a foreign encoding is not touched: what is written back would be other bytes. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = parseUtf8(bytes);
    return text.startsWith("\ufeff") ? undefined : text;
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
