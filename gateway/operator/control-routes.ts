/** Operators' routes for kill switch, quarantine, approvals and the vault: `GET`, `PUT` and `DELETE`, each change with a receipt before the answer. */

import type { FastifyInstance, FastifyRequest } from "fastify";
import type { JsonValue } from "../../kernel/json/value.ts";
import { boolean, literal, object, optional, readShape, type Shape, string } from "../../kernel/shape.ts";
import { OPERATOR_REASONS, type Operator, type OperatorReason } from "../controls/operator.ts";
import type { OperatorSwitches } from "../controls/switches.ts";
import { disclosureRequestShape, MAX_REQUEST_BYTES } from "../vault/discloser.ts";

/** The strict JSON of a request. @throws {FormatError} ERR_JSON_* */
export type BodyOf = (request: FastifyRequest) => JsonValue;

/** Who asks: the hook in front of the routes knows. */
export type OperatorOf = (request: FastifyRequest) => Operator;

type Change = { readonly target: string; readonly reason?: OperatorReason };

const changeShape: Shape<Change> = object<Change>({
  target: string({ maxLength: 300 }),
  reason: optional(literal(...OPERATOR_REASONS)),
});

/** A control that is switched on and off. */
type Switch = Pick<OperatorSwitches["killSwitch"], "entries" | "on" | "off">;

/** Adds the routes. */
export function controlRoutes(
  scope: FastifyInstance,
  switches: OperatorSwitches,
  bodyOf: BodyOf,
  operatorOf: OperatorOf,
): void {
  const change = (request: FastifyRequest): Required<Change> & { readonly operator: Operator } => {
    const { target, reason = "operator.request" } = readShape(changeShape, bodyOf(request), "body");
    return { target: switches.parseTarget(target), reason, operator: operatorOf(request) };
  };
  switchRoutes(scope, "/kill-switch", switches.killSwitch, change);
  switchRoutes(scope, "/quarantine", switches.quarantine, change);
  approvalRoutes(scope, switches.approvals, operatorOf);
  vaultRoutes(scope, switches.vault, bodyOf, operatorOf);
  scope.post("/mandates/reload", async (request, reply) =>
    reply.send((await switches.mandates?.reload(operatorOf(request))) ?? { changed: 0 }),
  );
}

type EraseRequest = { readonly target: string; readonly dry_run?: boolean };

const eraseShape: Shape<EraseRequest> = object<EraseRequest>({
  target: string({ maxLength: 2_048 }),
  dry_run: optional(boolean()),
});

function vaultRoutes(
  scope: FastifyInstance,
  desk: OperatorSwitches["vault"],
  bodyOf: BodyOf,
  operatorOf: OperatorOf,
): void {
  scope.post("/vault/disclose", { bodyLimit: MAX_REQUEST_BYTES }, async (request, reply) =>
    reply.send(await desk.disclose(readShape(disclosureRequestShape, bodyOf(request), "body"), operatorOf(request))),
  );
  scope.post("/vault/erase", async (request, reply) => {
    const { target, dry_run: isDryRun = false } = readShape(eraseShape, bodyOf(request), "body");
    return reply.send(await desk.erase(target, operatorOf(request), isDryRun));
  });
}

function approvalRoutes(scope: FastifyInstance, desk: OperatorSwitches["approvals"], operatorOf: OperatorOf): void {
  type OfOne = { readonly Params: { readonly id: string } };
  scope.get("/approvals", (request, reply) => reply.send({ approvals: desk.list(operatorOf(request)) }));
  scope.get<OfOne>("/approvals/:id", (request, reply) => reply.send(desk.show(request.params.id, operatorOf(request))));
  for (const event of ["grant", "refuse"] as const) {
    scope.post<OfOne>(`/approvals/:id/${event}`, async (request, reply) =>
      reply.send(await desk.decide(request.params.id, event, operatorOf(request))),
    );
  }
}

function switchRoutes(
  scope: FastifyInstance,
  path: string,
  control: Switch,
  change: (request: FastifyRequest) => Required<Change> & { readonly operator: Operator },
): void {
  scope.get(path, (_request, reply) => reply.send({ entries: control.entries() }));
  scope.put(path, async (request, reply) => {
    const { target, operator, reason } = change(request);
    return reply.send(await control.on(target, operator, reason));
  });
  scope.delete(path, async (request, reply) => {
    const { target, operator, reason } = change(request);
    await control.off(target, operator, reason);
    return reply.send({ target });
  });
}
