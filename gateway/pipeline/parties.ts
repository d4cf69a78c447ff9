/** Who asks and on whose behalf, as a decision receipt has it: principal, actor and subject apart, each with its state. */

import { Constants } from "../../kernel/json/constant.ts";
import type { DecisionBody } from "../../kernel/receipt/decision.ts";
import type { Identity, Principal } from "../../kernel/receipt/identity.ts";
import { ABSENT, notEstablished, type Observed, present } from "../../kernel/receipt/observed.ts";
import type { Caller, Party } from "./call.ts";
import type { KeyedNames } from "./keyed-names.ts";

/** The members of a decision that say who asks. */
export type Parties = Pick<DecisionBody, "principal" | "actor" | "subject" | "workflow">;

/**
 * Of a request.
 *
 * @param caller  whoever was authenticated
 * @param claimed  whom a refused credential names: the actor, and never the principal
 */
export function partiesOf(names: KeyedNames, caller: Caller | undefined, claimed?: Caller): Parties {
  if (caller === undefined) return partiesOfRequest(names, caller, claimed);
  const known = parties.get(caller);
  if (known?.names === names) return known.parties;
  const made = partiesOfRequest(names, caller, claimed);
  parties.set(caller, { names, parties: made });
  return made;
}

/** Of callers, by what was authenticated: that of a configured token is one object for all of its calls. */
const parties = new WeakMap<Caller, { readonly names: KeyedNames; readonly parties: Parties }>();

function partiesOfRequest(names: KeyedNames, caller: Caller | undefined, claimed: Caller | undefined): Parties {
  const unknown = notEstablished("field.not-reached");
  const named = caller ?? claimed;
  if (named === undefined) return { principal: unknown, actor: unknown, subject: unknown, workflow: ABSENT };
  return {
    principal: caller === undefined ? unknown : principalOf(names, caller),
    actor: identityOf(names, named, actorOf(named)),
    subject: subjectField(names, named),
    workflow: workflowField(caller),
  };
}

/** Who acts: the nearest of the credential's chain, else the caller itself. */
export function actorOf(caller: Caller): Party {
  return caller.facts?.actors[0] ?? caller;
}

/**
 * On whose behalf: whom the credential names, or the person who acts for itself. A machine that acts for itself has no
 * subject, and neither has a credential that can name none.
 */
export function subjectOf(caller: Caller): Party | undefined {
  return caller.facts?.subject ?? (caller.facts?.kind === "user" ? caller : undefined);
}

/** The workflow that a checked credential names. */
export function workflowField(caller: Caller | undefined): DecisionBody["workflow"] {
  const workflow = caller?.facts?.workflow;
  if (workflow === undefined) return ABSENT;
  return present({ id: workflow.id, provenance: "token-claim", scope: workflow.scope });
}

function subjectField(names: KeyedNames, caller: Caller): Observed<Identity> {
  const subject = subjectOf(caller);
  return subject === undefined ? ABSENT : identityOf(names, caller, subject);
}

/** A party that the caller's credential vouches for. */
function identityOf(names: KeyedNames, { provenance, outcome, facts }: Caller, party: Party): Observed<Identity> {
  const { id, issuer } = names.principal(party);
  const binding = facts?.binding ?? "connection";
  const key = `${id} ${provenance} ${outcome} ${binding} ${issuer}`;
  return identities.of(key, () => present({ issuer, id, provenance, outcome, binding }));
}

function principalOf(names: KeyedNames, caller: Caller): Observed<Principal> {
  const { id, issuer } = names.principal(caller);
  return principals.of(`${id} ${issuer}`, () => present({ issuer, id }));
}

/** Callers come back with each of their calls. */
const identities = new Constants<Observed<Identity>>();
const principals = new Constants<Observed<Principal>>();
