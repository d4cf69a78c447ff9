/**
 * Mandates that a call carries (docs/formats/mandate.md). A chain that does not hold is refused in every mode, as every
 * other credential is; a call that a good chain does not cover is denied, as what a policy forbids is.
 */

import { sha256 } from "#crypto";
import { concat, formatUtf8, lengthPrefixed } from "../../kernel/bytes.ts";
import { CheckError, isCodedError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { MAX_CHAIN, MAX_MANDATE_BYTES } from "../../kernel/mandate/mandate.ts";
import {
  checkChainTime,
  checkHolder,
  type MandateChain,
  type MandateRoot,
  readMandateChain,
} from "../../kernel/mandate/mandate-chain.ts";
import { covers, type MandateTarget } from "../../kernel/mandate/mandate-scope.ts";
import { linkOf } from "../../kernel/receipt/delegation.ts";
import type { Delegation, DelegationHop } from "../../kernel/receipt/identity.ts";
import { notEstablished, present } from "../../kernel/receipt/observed.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { type Caller, type InboundCall, NO_CALLS, toolBehind } from "../pipeline/call.ts";
import type { Denial } from "../pipeline/judge.ts";
import type { KeyedNames } from "../pipeline/keyed-names.ts";
import { actorOf } from "../pipeline/parties.ts";
import { type Contribution, type RequestStage, sayNothing } from "../pipeline/stage.ts";
import { metaOf } from "../wire/era.ts";
import { OUR_META } from "../wire/meta-keys.ts";
import { RPC } from "../wire/rpc-error.ts";

/** Whose mandates are taken. */
export interface MandateRules {
  /** Now; another list after each change. */
  readonly roots: () => readonly MandateRoot[];
  /** True if a hop of the chain was taken back. */
  readonly isRevoked: (chain: MandateChain) => boolean;
  /** True: a call without a chain is denied. */
  readonly isRequired: boolean;
}

const REASONS: Readonly<Record<string, ReasonCode>> = {
  ERR_MANDATE_EXPIRED: "delegation.expired",
  ERR_MANDATE_REVOKED: "delegation.revoked",
  ERR_MANDATE_HOLDER: "delegation.holder",
  ERR_MANDATE_UNTRUSTED: "delegation.untrusted",
  ERR_MANDATE_WIDER: "delegation.wider",
};

/** Makes the stage; undefined rules: nobody's mandates are taken, and a chain is the caller's word. */
export function makeMandateStage(names: KeyedNames, rules: MandateRules | undefined): RequestStage {
  const chains = new KnownChains(rules?.roots ?? (() => []));
  return {
    name: "mandates",
    begin: (call) => {
      const carried = metaOf(call.params)[OUR_META.mandates];
      if (rules === undefined) {
        if (carried === undefined) return sayNothing;
        const fields = { delegation: notEstablished("field.not-configured") };
        return () => ({ fields });
      }
      const isMissing = rules.isRequired && !NO_CALLS.has(call.target.kind);
      if (carried === undefined) return isMissing ? () => ({ denials: [MISSING] }) : sayNothing;
      // Signatures are checked here, so that nobody waits in the turn for somebody else's.
      const chain = readChain(chains, carried);
      return ({ nowMs }) => {
        // Whom the roots were changed under meanwhile, in the turn of this receipt, nobody trusts any more.
        const held = typeof chain === "string" ? chain : chains.current(chain);
        return typeof held === "string" ? refusedBy(held) : look(names, rules, held, call, nowMs);
      };
    },
  };
}

/** Most chains that are remembered. An agent sends the same one with each of its calls. */
const MAX_KNOWN = 1_024;

/** Chains that hold but for the time, by the hash of their bytes; forgotten when the roots change. */
class KnownChains {
  readonly #roots: () => readonly MandateRoot[];
  readonly #known = new Map<string, MandateChain>();
  #of: readonly MandateRoot[] = [];

  constructor(roots: () => readonly MandateRoot[]) {
    this.#roots = roots;
  }

  /** @throws as `readMandateChain` */
  read(mandates: readonly Uint8Array[]): MandateChain {
    const roots = this.#roots();
    if (roots !== this.#of) this.#known.clear();
    this.#of = roots;
    const key = formatHex(sha256(concat(...mandates.map(lengthPrefixed))));
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const chain = readMandateChain(mandates, roots);
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(key, chain);
    return chain;
  }

  /** The chain, if the roots still trust the key at its beginning for the same principal. */
  current(chain: MandateChain): MandateChain | ReasonCode {
    const [first] = chain.links;
    const root = this.#roots().find(({ key }) => key.kid === first?.issuer);
    const isSame = root?.issuer === chain.root.issuer && root.name === chain.root.name;
    return isSame ? chain : "delegation.untrusted";
  }
}

function readChain(chains: KnownChains, carried: JsonObject[string]): MandateChain | ReasonCode {
  try {
    return chains.read(readMandates(carried));
  } catch (error) {
    return reasonOf(error);
  }
}

function look(
  names: KeyedNames,
  { isRevoked }: MandateRules,
  chain: MandateChain,
  call: InboundCall,
  nowMs: number,
): Contribution {
  try {
    checkChainTime(chain, nowMs);
    if (isRevoked(chain)) throw new CheckError("ERR_MANDATE_REVOKED", "a mandate of the chain was taken back");
    checkHeld(chain, call.caller);
    const isCovered = chain.hops.every(({ scope }) => covers(scope, targetOf(call)));
    const fields = { delegation: present(delegationOf(names, chain)) };
    return isCovered ? { fields } : { fields, denials: [UNCOVERED] };
  } catch (error) {
    return refusedBy(reasonOf(error));
  }
}

function reasonOf(error: unknown): ReasonCode {
  if (!isCodedError(error)) throw error;
  return REASONS[error.code] ?? "delegation.broken";
}

function refusedBy(reason: ReasonCode): Contribution {
  return { fields: { delegation: notEstablished(reason) }, denials: [refused(reason)] };
}

/** Canonical bytes of each mandate, from the list of their texts. */
function readMandates(carried: JsonObject[string]): readonly Uint8Array[] {
  const items: readonly unknown[] = Array.isArray(carried) && carried.length <= MAX_CHAIN ? carried : [];
  return items.map((item) => {
    if (typeof item === "string" && item.length <= MAX_MANDATE_BYTES) return formatUtf8(item);
    throw new CheckError("ERR_MANDATE_BROKEN", "want the text of a mandate");
  });
}

/** The last holder is the caller, or the party that acts for it. */
function checkHeld(chain: MandateChain, caller: Caller): void {
  const { issuer, name } = chain.last.holder;
  const actor = actorOf(caller);
  if (actor.issuer === issuer && actor.name === name) return;
  checkHolder(chain, caller);
}

function targetOf(call: InboundCall): MandateTarget {
  const { serverId, target } = call;
  const tool = toolBehind(call);
  if (tool !== undefined) return { kind: "tool", serverId, name: tool };
  return target.kind === "resource" ? { kind: "resource", serverId, name: target.name } : { kind: "other", serverId };
}

/** The chain as receipts have it: names and addresses as keyed hashes. */
function delegationOf(names: KeyedNames, { root, hops, firstHash }: MandateChain): Delegation {
  const made: DelegationHop[] = [];
  let delegator = names.principal(root).id;
  for (const { holder, scope, not_after, depth } of hops) {
    const delegate = names.principal(holder).id;
    const resources = scope.resources.map((resource) => names.correlation(`mandate ${resource}`)).sort();
    const hop = { delegator, delegate, scope: { tools: scope.tools, resources, not_after, depth } };
    made.push({ ...hop, link: linkOf(hop, made.at(-1)?.link ?? null) });
    delegator = delegate;
  }
  return { hops: made, correlation: names.correlation(`mandate-chain ${firstHash}`) };
}

const MISSING: Denial = {
  step: "identity",
  reason: "delegation.missing",
  rpcCode: RPC.denied,
  message: "This gateway wants a mandate with each call.",
};

const UNCOVERED: Denial = {
  step: "identity",
  reason: "delegation.scope",
  rpcCode: RPC.denied,
  message: "The mandates do not cover this call.",
};

function refused(reason: ReasonCode): Denial {
  const message = "The mandates do not hold.";
  return { step: "identity", reason, rpcCode: RPC.denied, message, isFinal: true };
}
