/**
 * POST /operator/statements: the operator of a log has it say something about itself. Without an operator token there is no
 * such route. `dry_run` answers with what would be said, and changes nothing.
 */

import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { finalTreeShape, successorShape } from "../../kernel/lifecycle/statement.ts";
import { hex64Shape } from "../../kernel/receipt/fields.ts";
import { boolean, literal, object, optional, readShape, type Shape, string, tagged } from "../../kernel/shape.ts";
import { makeTokenCheck } from "../http/auth.ts";
import { bodyOf, type Routes, takeBytes } from "../http/server.ts";
import type { LogDesk, OperatorAction } from "./log-desk.ts";

const MAX_REQUEST_BYTES = 65_536;

/** The body of a request. */
export type OperatorRequest = { readonly dry_run?: boolean } & OperatorAction;

type Wish<A extends OperatorAction["action"]> = { readonly dry_run?: boolean } & Extract<
  OperatorAction,
  { readonly action: A }
>;

const reason = string({ maxLength: 256 });
const requestShape: Shape<OperatorRequest> = tagged("action", {
  "rotate-key": object<Wish<"rotate-key">>({ action: literal("rotate-key"), dry_run: optional(boolean()) }),
  "retire-key": object<Wish<"retire-key">>({ action: literal("retire-key"), dry_run: optional(boolean()) }),
  close: object<Wish<"close">>({
    action: literal("close"),
    dry_run: optional(boolean()),
    end: literal("frozen", "decommissioned"),
    reason,
    successor: optional(successorShape),
  }),
  link: object<Wish<"link">>({
    action: literal("link"),
    dry_run: optional(boolean()),
    predecessor: finalTreeShape,
  }),
  "end-stream": object<Wish<"end-stream">>({
    action: literal("end-stream"),
    dry_run: optional(boolean()),
    stream: hex64Shape,
    reason,
  }),
});

/** What the route needs. */
export interface OperatorParts {
  readonly desk: LogDesk;
  /** Undefined: there is no route. */
  readonly operatorToken: string | undefined;
}

/** The route of the operator. */
export function operatorRoutes({ desk, operatorToken }: OperatorParts): Routes {
  return (scope) => {
    if (operatorToken === undefined) return;
    const check = makeTokenCheck([operatorToken]);
    takeBytes(scope, "application/json");
    const onRequest = async (request: Parameters<typeof check>[0]): Promise<void> => check(request);
    scope.post(
      "/operator/statements",
      { bodyLimit: MAX_REQUEST_BYTES, onRequest },
      async (request): Promise<JsonObject> => answer(desk, bodyOf(request)),
    );
  };
}

async function answer(desk: LogDesk, body: Uint8Array): Promise<JsonObject> {
  const wish = readShape(requestShape, parseJson(body), "request");
  if (wish.dry_run === true) return { statement: { ...desk.preview(wish) } };
  const { index, statement } = await desk.perform(wish);
  return { index: Number(index), statement };
}
