/**
 * What one GraphQL document may cost, as rules of validation: depth, aliases, and fields times page sizes. Introspection
 * is not counted into the depth; it is bounded by tokens and cost.
 */

import {
  type ASTNode,
  type ASTVisitor,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type SelectionSetNode,
  type ValidationContext,
} from "graphql";
import type { LimitsConfig } from "../config.ts";

/** The limits in force. */
export type Limits = Required<{ readonly [K in keyof LimitsConfig]: number }>;

/** Limits where the configuration says nothing. */
export const DEFAULT_LIMITS: Limits = {
  max_depth: 12,
  max_cost: 10_000,
  max_aliases: 20,
  max_tokens: 2_000,
  max_page: 100,
  max_body_bytes: 65_536,
  timeout_ms: 5_000,
  max_concurrent: 32,
};

/** Arguments that multiply what is below them. */
const PAGE_ARGUMENTS: ReadonlySet<string> = new Set(["first", "last"]);
/** Size of a page that names none. */
export const DEFAULT_PAGE = 20;

/** What a document asks for. */
export interface DocumentCost {
  readonly depth: number;
  readonly aliases: number;
  readonly cost: number;
}

/** An error with the code of the limit. */
export function limitError(message: string, nodes?: readonly ASTNode[]): GraphQLError {
  return new GraphQLError(message, {
    ...(nodes === undefined ? {} : { nodes }),
    extensions: { code: "ERR_GRAPHQL_LIMIT" },
  });
}

/** The rule of validation that holds documents to the limits. */
export function limitRule(limits: Limits): (context: ValidationContext) => ASTVisitor {
  return (context) => ({
    Document: (document) => {
      const { depth, aliases, cost } = documentCost(document, limits);
      const report = (what: string, got: number, max: number): void => {
        if (got > max) context.reportError(limitError(`want a ${what} of at most ${max}`));
      };
      report("depth", depth, limits.max_depth);
      report("number of aliases", aliases, limits.max_aliases);
      report("cost", cost, limits.max_cost);
    },
  });
}

/**
 * Costs of all operations of a document together. Fragments count where they are used; a cycle of fragments, which another
 * rule refuses, ends at the depth limit.
 */
export function documentCost(document: DocumentNode, limits: Limits): DocumentCost {
  const meter = new Meter(document, limits);
  for (const definition of document.definitions) {
    if (definition.kind === Kind.OPERATION_DEFINITION) meter.measure(definition.selectionSet, 1, 1, new Set());
  }
  return meter;
}

class Meter implements DocumentCost {
  depth = 0;
  aliases = 0;
  cost = 0;
  readonly #limits: Limits;
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;

  constructor(document: DocumentNode, limits: Limits) {
    this.#limits = limits;
    this.#fragments = new Map(
      document.definitions.flatMap((node) =>
        node.kind === Kind.FRAGMENT_DEFINITION ? [[node.name.value, node] as const] : [],
      ),
    );
  }

  measure(set: SelectionSetNode, depth: number, factor: number, inside: ReadonlySet<string>): void {
    for (const selection of set.selections) {
      // Beyond a limit the document is refused anyway: measuring on would only cost time.
      if (this.cost > this.#limits.max_cost) return;
      if (selection.kind === Kind.FIELD) this.#measureField(selection, depth, factor, inside);
      else if (selection.kind === Kind.INLINE_FRAGMENT) this.measure(selection.selectionSet, depth, factor, inside);
      else this.#measureSpread(selection.name.value, depth, factor, inside);
    }
  }

  #measureField(field: FieldNode, depth: number, factor: number, inside: ReadonlySet<string>): void {
    const isIntrospection = field.name.value.startsWith("__");
    const own = isIntrospection ? 0 : depth;
    this.depth = Math.max(this.depth, own);
    if (field.alias !== undefined) this.aliases += 1;
    this.cost += factor;
    if (field.selectionSet === undefined || own > this.#limits.max_depth) return;
    const below = isIntrospection ? Number.NEGATIVE_INFINITY : depth + 1;
    this.measure(field.selectionSet, below, factor * this.#pageOf(field), inside);
  }

  #measureSpread(name: string, depth: number, factor: number, inside: ReadonlySet<string>): void {
    const fragment = this.#fragments.get(name);
    if (fragment === undefined || inside.has(name)) return;
    // A spread costs something itself: fragments of fragments double with every line.
    this.cost += factor;
    this.measure(fragment.selectionSet, depth, factor, new Set([...inside, name]));
  }

  /** Page size of a connection, 1 for other fields; a variable counts as the largest page. */
  #pageOf(field: FieldNode): number {
    const sizes = (field.arguments ?? [])
      .filter(({ name }) => PAGE_ARGUMENTS.has(name.value))
      .map(({ value }) => (value.kind === Kind.INT ? Number(value.value) : this.#limits.max_page));
    if (sizes.length > 0) return Math.max(1, Math.min(this.#limits.max_page, ...sizes));
    return LISTS.get(field.name.value) ?? 1;
  }
}

/** Fields that are lists without a page argument, with the length that they are taken to have. */
const LISTS: ReadonlyMap<string, number> = new Map([
  ["receipts", DEFAULT_PAGE],
  ["sessions", DEFAULT_PAGE],
  ["streams", DEFAULT_PAGE],
  ["registrations", DEFAULT_PAGE],
  ["alarms", DEFAULT_PAGE],
  ["unsealedSessions", 100],
  ["gaps", 64],
  ["witnesses", 8],
  ["cosignatures", 8],
  ["evidence", 4],
  ["ledgers", 4],
]);
