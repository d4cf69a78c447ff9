/** The two smallest rows: a count, and an index that another key leads to. */

import { integer, object, type Shape } from "../../kernel/shape.ts";

/** A number of receipts. */
export type CountRow = { readonly count: number };

/** Shape of a count. */
export const countRowShape: Shape<CountRow> = object<CountRow>({ count: integer() });

/** An index that another key leads to. */
export type IndexRow = { readonly index: number };

/** Shape of `IndexRow`. */
export const indexRowShape: Shape<IndexRow> = object<IndexRow>({ index: integer() });
