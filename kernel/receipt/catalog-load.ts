/** Catalog-load receipt: a catalog of approved servers and definitions took effect, or was refused. */

import type { Digest, ServerId } from "./fields.ts";
import type { StreamHeader } from "./header.ts";
import type { Principal } from "./identity.ts";
import type { Observed } from "./observed.ts";
import type { ReasonCode } from "./reasons.ts";
import type { LoadResult } from "./vocabulary.ts";

/** One server of the catalog. */
export type CatalogServer = {
  readonly id: ServerId;
  /** Digest of its pinned identity. */
  readonly identity: Observed<Digest>;
  readonly surface: Observed<Digest>;
  /** How many tools are approved. */
  readonly tools: number;
  /** How its definitions were approved. */
  readonly definition: "approved" | "first-use";
};

/** Body of a catalog-load receipt. */
export type CatalogLoadBody = StreamHeader & {
  readonly kind: "catalog-load";
  readonly result: LoadResult;
  /** Empty if loaded, else at least one. */
  readonly reasons: readonly ReasonCode[];
  readonly catalog: { readonly digest: Digest };
  readonly previous: Observed<Digest>;
  /** Sorted by id, at most 128. */
  readonly servers: readonly CatalogServer[];
  /** Who approved the change; empty for first use. At most 16. */
  readonly approvers: readonly Principal[];
};
