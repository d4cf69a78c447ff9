/** Runs GraphQL documents: graphql-yoga over the schema, with the limits and the error codes of this node. */

import {
  buildSchema,
  defaultFieldResolver,
  type ExecutionArgs,
  GraphQLError,
  type GraphQLFieldResolver,
  parse,
} from "graphql";
import { createYoga, type Plugin } from "graphql-yoga";
import { errorCode, isCodedError, StoreError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { json, nullable, object, optional, readShape, type Shape, string } from "../../kernel/shape.ts";
import { type Limits, limitError, limitRule } from "./limits.ts";
import type { RequestContext } from "./nodes.ts";
import type { RootValue } from "./root.ts";
import { SCHEMA } from "./schema.ts";

/** A request as its body spells it. */
type GraphqlRequest = {
  readonly query: string;
  readonly variables?: JsonValue;
  readonly operationName?: string | null;
  readonly extensions?: JsonValue;
};

/** What the executor needs. */
export interface ExecutorOptions {
  readonly root: RootValue;
  readonly limits: Limits;
  /** Milliseconds of a clock that does not jump back. */
  readonly monotonicMs: () => number;
  /** Told of faults that are ours. */
  readonly onFault: (error: unknown) => void;
}

/** An answer in JSON. */
export interface GraphqlAnswer {
  readonly status: number;
  readonly body: string;
}

/** Runs one request body; malformed bodies throw, everything else is in the answer. */
export type Executor = (body: Uint8Array) => Promise<GraphqlAnswer>;

const requestShape: Shape<GraphqlRequest> = object<GraphqlRequest>({
  query: string({ maxLength: 1_048_576 }),
  variables: optional(json()),
  operationName: optional(nullable(string({ maxLength: 256 }))),
  extensions: optional(json()),
});

/** Makes the executor. */
export function makeExecutor(options: ExecutorOptions): Executor {
  const { limits, monotonicMs, onFault } = options;
  const yoga = createYoga<RequestContext>({
    schema: buildSchema(SCHEMA),
    plugins: [makePlugin(options)],
    maskedErrors: { maskError: (error) => maskError(error, onFault) },
    graphiql: false,
    landingPage: false,
    logging: false,
    multipart: false,
    cors: false,
  });
  return async (body) => {
    const request = readShape(requestShape, parseJson(body, { maxBytes: limits.max_body_bytes }), "request");
    const context = makeContext(limits, monotonicMs);
    const answer = await yoga.fetch(
      "http://node/graphql",
      {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify(request),
      },
      context,
    );
    return { status: answer.status, body: await answer.text() };
  };
}

/** Text that one answer may hold, in UTF-16 units: beyond it a request asks for entries that it should page through. */
const MAX_ANSWER_TEXT = 16_777_216;

function makeContext(limits: Limits, monotonicMs: () => number): RequestContext {
  const deadline = monotonicMs() + limits.timeout_ms;
  let text = 0;
  return {
    checkTime: () => {
      if (monotonicMs() > deadline) throw limitError(`want an answer within ${limits.timeout_ms} ms`);
    },
    takeText: (length) => {
      text += length;
      if (text > MAX_ANSWER_TEXT) throw limitError(`want an answer of at most ${MAX_ANSWER_TEXT} characters`);
    },
  };
}

/** Resolves a field as graphql does, within the time and the size of the request. */
const resolveWithin: GraphQLFieldResolver<unknown, RequestContext> = (source, args, context, info) => {
  context.checkTime();
  const value: unknown = defaultFieldResolver(source, args, context, info);
  if (typeof value === "string") context.takeText(value.length);
  if (!(value instanceof Promise)) return value;
  return value.then((late: unknown) => {
    if (typeof late === "string") context.takeText(late.length);
    return late;
  });
};

/** Bounds the parser, adds the limits to validation, and gives the resolvers. */
function makePlugin({ root, limits }: ExecutorOptions): Plugin {
  const rule = limitRule(limits);
  return {
    onParse: ({ setParseFn }) => {
      setParseFn((source: string) => parse(source, { maxTokens: limits.max_tokens }));
    },
    onValidate: ({ addValidationRule }) => {
      addValidationRule(rule);
      return ({ valid, result, setResult }) => {
        if (!valid) setResult(result.map(codedError));
      };
    },
    onExecute: ({ args }: { readonly args: ExecutionArgs }) => {
      args.rootValue = root;
      args.fieldResolver = resolveWithin;
    },
  };
}

/** HTTP status of a request that was not run at all; errors of single fields leave the rest of the answer standing. */
const STATUS: Readonly<Record<string, number>> = {
  ERR_GRAPHQL_SYNTAX: 400,
  ERR_GRAPHQL_VALIDATION: 400,
  ERR_GRAPHQL_LIMIT: 400,
};

/** Every error that leaves has a code; what is our fault leaves without its text. */
function maskError(error: unknown, onFault: (error: unknown) => void): GraphQLError {
  const cause = error instanceof GraphQLError ? (error.originalError ?? error) : error;
  if (cause instanceof GraphQLError) return withCode(cause, error);
  if (isCodedError(cause) && !(cause instanceof StoreError) && cause.code !== "ERR_BUG") {
    return coded(cause.message, cause.code, error);
  }
  onFault(cause);
  return coded("internal fault", errorCode(cause), error);
}

function codedError(error: unknown): GraphQLError {
  return error instanceof GraphQLError ? withCode(error, error) : coded("internal fault", "ERR_BUG", error);
}

/** Errors of graphql itself carry no code of ours yet. */
function withCode(error: GraphQLError, outer: unknown): GraphQLError {
  const { code } = error.extensions;
  if (typeof code === "string" && code.startsWith("ERR_")) return coded(error.message, code, outer);
  const isSyntax = error.message.startsWith("Syntax Error");
  return coded(error.message, isSyntax ? "ERR_GRAPHQL_SYNTAX" : "ERR_GRAPHQL_VALIDATION", outer);
}

function coded(message: string, code: string, outer: unknown): GraphQLError {
  const place = outer instanceof GraphQLError ? outer : undefined;
  return new GraphQLError(message, {
    ...(place?.nodes === undefined ? {} : { nodes: place.nodes }),
    ...(place?.source === undefined ? {} : { source: place.source }),
    ...(place?.positions === undefined ? {} : { positions: place.positions }),
    ...(place?.path === undefined ? {} : { path: place.path }),
    extensions: { code, http: { status: STATUS[code] ?? 200 } },
  });
}
