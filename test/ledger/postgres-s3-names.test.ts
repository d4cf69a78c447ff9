import { expect, it } from "vitest";
import { NameWatch } from "../../ledger/postgres-s3/name-watch.ts";

const rows = (...keys: readonly string[]): readonly { key: string; value: Uint8Array }[] =>
  keys.map((key) => ({ key, value: new Uint8Array(0) }));

it("tells of a name whose record, reservation or expiry another node wrote since it was looked up", () => {
  const names = new NameWatch();
  const before = names.mark();
  names.take(rows("n/a", "m/b", "x/c"));
  expect(["a", "b", "c", "d"].map((name) => names.hasChanged(name, before))).toEqual([true, true, true, false]);
  const after = names.mark();
  expect(["a", "b", "c"].map((name) => names.hasChanged(name, after))).toEqual([false, false, false]);
  names.take(rows("x/b"));
  expect([names.hasChanged("b", after), names.hasChanged("a", after)]).toEqual([true, false]);
});

it("has every name looked up again behind one that it has forgotten", () => {
  const names = new NameWatch(2);
  const before = names.mark();
  names.take(rows("n/a", "n/b"));
  const between = names.mark();
  names.take(rows("n/c"));
  expect(names.hasChanged("never seen", before)).toBe(true);
  expect(names.hasChanged("a", between)).toBe(false);
  expect(names.hasChanged("b", before)).toBe(true);
});
