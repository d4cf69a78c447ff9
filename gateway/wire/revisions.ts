/** MCP revisions that the gateway speaks, by era. */

import type { Era, Revision } from "../../kernel/receipt/vocabulary.ts";

/** The modern revision, and what `server/discover` and -32022 list. */
export const MODERN_REVISION = "2026-07-28";
export const MODERN_REVISIONS: readonly Revision[] = [MODERN_REVISION];

/** Legacy revisions, newest first: what `initialize` can agree on. */
export const LEGACY_REVISIONS = ["2025-11-25", "2025-06-18", "2025-03-26"] as const;
export type LegacyRevision = (typeof LEGACY_REVISIONS)[number];

/** A revision and its era. */
export interface Spoken {
  readonly era: Era;
  readonly revision: Revision;
}

const BY_NAME: ReadonlyMap<string, Spoken> = new Map<string, Spoken>([
  ...MODERN_REVISIONS.map((revision): [string, Spoken] => [revision, { era: "modern", revision }]),
  ...LEGACY_REVISIONS.map((revision): [string, Spoken] => [revision, { era: "legacy", revision }]),
]);

/** Era of a revision that we speak. */
export function revisionNamed(name: string): Spoken | undefined {
  return BY_NAME.get(name);
}

/** The legacy revision that `initialize` agrees on: the client's if we speak it, else our newest. */
export function agreeRevision(requested: unknown): LegacyRevision {
  return LEGACY_REVISIONS.find((revision) => revision === requested) ?? LEGACY_REVISIONS[0];
}
