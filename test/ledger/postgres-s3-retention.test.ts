import { expect, it } from "vitest";
import { StoreError } from "../../kernel/errors.ts";
import { RetentionWatch } from "../../ledger/postgres-s3/retention-watch.ts";
import type { Retention } from "../../ledger/storage/retention.ts";

const at = (minimum_index: number, policy = "policy"): Retention => ({
  kind: "retention",
  v: 1,
  minimum_index,
  policy,
});

/** A watch whose object is what is said next; the codes that it logged. */
function watching(first: Retention | undefined) {
  const logged: unknown[] = [];
  let next: () => Promise<Retention | undefined> = () => Promise.resolve(first);
  const ignore = (): void => undefined;
  const warn = (fields: object): void => void logged.push((fields as { readonly code: unknown }).code);
  const watch = new RetentionWatch({ read: () => next(), logger: { info: ignore, warn, error: ignore } }, first);
  const see = async (read: typeof next): Promise<readonly unknown[]> => {
    next = read;
    await watch.refresh();
    return [watch.minimumIndex, watch.policy];
  };
  return { see, logged };
}

it("rises, and takes a new policy of the same index", async () => {
  const { see } = watching(undefined);
  expect(await see(() => Promise.resolve(undefined))).toEqual([0n, undefined]);
  expect(await see(() => Promise.resolve(at(300)))).toEqual([300n, "policy"]);
  expect(await see(() => Promise.resolve(at(300, "another")))).toEqual([300n, "another"]);
  expect(await see(() => Promise.resolve(at(301)))).toEqual([301n, "policy"]);
});

it("never goes back: not to a smaller index, not when the object is gone, damaged or out of reach, which is said once", async () => {
  const { see, logged } = watching(at(300));
  const refusing = (code: "ERR_RETENTION" | "ERR_OBJECT_STORE") => (): Promise<never> =>
    Promise.reject(new StoreError(code, "test"));
  for (const read of [
    () => Promise.resolve(at(299)),
    () => Promise.resolve(undefined),
    refusing("ERR_RETENTION"),
    refusing("ERR_RETENTION"),
    refusing("ERR_OBJECT_STORE"),
  ])
    expect(await see(read)).toEqual([300n, "policy"]);
  expect(logged).toEqual(["ERR_RETENTION", "ERR_OBJECT_STORE"]);
  expect(await see(() => Promise.resolve(at(301)))).toEqual([301n, "policy"]);
});
