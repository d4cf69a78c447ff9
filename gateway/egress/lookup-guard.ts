/**
 * DNS: a query carries data out by itself, so names that are not declared are not asked for. What is answered for a
 * declared name is checked before it can be connected to: a public name that turns private is refused.
 */

import dns from "node:dns";
import { canonicalHost } from "./address.ts";
import type { EgressRules } from "./egress-rules.ts";
import { isCallable, lock, objectOf, type Replaced } from "./lock.ts";

/** As Node tells that a name does not exist. */
class LookupRefused extends Error {
  readonly code = "ERR_EGRESS";

  constructor(name: string) {
    super(`the configuration declares no connection to ${name}`);
  }
}

/** Guards every way to ask a resolver. @param refuse  told of each name */
export function guardLookups(rules: EgressRules, refuse: (name: string) => void): void {
  const isAllowed = (name: unknown): boolean => {
    if (typeof name === "string" && rules.allowsName(name)) return true;
    refuse(String(name));
    return false;
  };
  const isFit = (name: unknown, address: string): boolean => {
    if (rules.learn(String(name), address)) return true;
    refuse(`${String(name)} as ${canonicalHost(address)}`);
    return false;
  };
  lock(dns, "lookup", (original) => lookupGuard(original, isAllowed, isFit));
  lock(dns.promises, "lookup", (original) => promisedLookup(original, isAllowed, isFit));
  for (const owner of [dns, dns.promises]) lock(owner, "lookupService", () => refusedService(refuse));
  const handle: unknown = Reflect.get(new dns.Resolver(), "_handle");
  const channel = objectOf(Object.getPrototypeOf(objectOf(handle)));
  const names = Object.getOwnPropertyNames(channel);
  for (const name of names.filter((each) => each.startsWith("query") || each === "getHostByAddr")) {
    lock(channel, name, (original) => queryGuard(original, isAllowed));
  }
}

type IsAllowed = (name: unknown) => boolean;
type IsFit = (name: unknown, address: string) => boolean;

function lookupGuard(original: Replaced, isAllowed: IsAllowed, isFit: IsFit): Replaced {
  return function lookup(this: unknown, ...args: readonly unknown[]): unknown {
    const [name] = args;
    const callback = args.at(-1);
    if (!isCallable(callback)) return Reflect.apply(original, this, args);
    const fail = (): void => process.nextTick(callback, new LookupRefused(String(name)));
    if (!isAllowed(name)) return fail();
    const checked = (...answer: readonly unknown[]): unknown => {
      const [error, found] = answer;
      if (error !== null && error !== undefined) return Reflect.apply(callback, undefined, answer);
      return addressesOf(found).every((address) => isFit(name, address))
        ? Reflect.apply(callback, undefined, answer)
        : fail();
    };
    return Reflect.apply(original, this, [...args.slice(0, -1), checked]);
  };
}

function promisedLookup(original: Replaced, isAllowed: IsAllowed, isFit: IsFit): Replaced {
  return async function lookup(this: unknown, ...args: readonly unknown[]): Promise<unknown> {
    const [name] = args;
    if (!isAllowed(name)) throw new LookupRefused(String(name));
    const found: unknown = await Reflect.apply(original, this, args);
    if (addressesOf(found).every((address) => isFit(name, address))) return found;
    throw new LookupRefused(String(name));
  };
}

/** One address, an object with one, or a list of such. */
function addressesOf(found: unknown): readonly string[] {
  if (typeof found === "string") return [found];
  if (Array.isArray(found)) return found.flatMap(addressesOf);
  const address: unknown = Reflect.get(Object(found), "address");
  return typeof address === "string" ? [address] : [];
}

function refusedService(refuse: (name: string) => void): Replaced {
  return (address: unknown) => {
    refuse(String(address));
    throw new LookupRefused(String(address));
  };
}

/** The resolver's own handle, behind `resolve…` of every resolver. */
function queryGuard(original: Replaced, isAllowed: IsAllowed): Replaced {
  return function query(this: unknown, ...args: readonly unknown[]): unknown {
    return isAllowed(args[1]) ? Reflect.apply(original, this, args) : -1;
  };
}
