/** Catalog-load receipt: a catalog of approved servers and definitions took effect, or was refused. */

import { array, integer, literal, mapped, object, type Shape } from "../shape.ts";
import { type Signed, signaturesShape } from "../signature/envelope.ts";
import { type Digest, digestShape, MAX_NAMES, type ServerId, serverIdShape } from "./fields.ts";
import { headerMembers, type StreamHeader } from "./header.ts";
import { type Principal, principalShape } from "./identity.ts";
import { checkLoad } from "./load.ts";
import { type Observed, observed } from "./observed.ts";
import { type ReasonCode, reasonShape } from "./reasons.ts";
import { LOAD_RESULTS, type LoadResult } from "./vocabulary.ts";

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

export const catalogLoadShape: Shape<Signed<CatalogLoadBody>> = mapped(
  object<Signed<CatalogLoadBody>>({
    ...headerMembers,
    kind: literal("catalog-load"),
    result: literal(...LOAD_RESULTS),
    reasons: array(reasonShape, { max: MAX_NAMES }),
    catalog: object<{ readonly digest: Digest }>({ digest: digestShape }),
    previous: observed(digestShape),
    servers: array(
      object<CatalogServer>({
        id: serverIdShape,
        identity: observed(digestShape),
        surface: observed(digestShape),
        tools: integer(),
        definition: literal("approved", "first-use"),
      }),
      { max: 128 },
    ),
    approvers: array(principalShape, { max: 16 }),
    signatures: signaturesShape,
  }),
  (receipt) => {
    const ids = receipt.servers.map(({ id }) => id);
    checkLoad(receipt, ids);
    return receipt;
  },
);
