/** How the S3-compatible store is asked: signed (package `aws4fetch`), and again after faults that may pass. */

import { AwsClient } from "aws4fetch";
import { StoreError } from "../../kernel/errors.ts";
import type { ObjectStoreCredentials, ObjectStorePlace } from "./object-store.ts";

/** Requests in all after a fault that may pass, and the pause before the first that is repeated. */
export const MAX_ATTEMPTS = 3;
const FIRST_PAUSE_MS = 50;

/** What signs requests. */
export type StoreClient = Pick<AwsClient, "sign">;

/** Signs for a store. */
export function makeStoreClient({ region }: ObjectStorePlace, credentials: ObjectStoreCredentials): StoreClient {
  return new AwsClient({ ...credentials, service: "s3", region, retries: 0 });
}

/**
 * Asks again after faults that may pass. A put whose answer was lost is then refused by its own success; whoever writes looks
 * at what is there.
 *
 * @param what  is asked, for messages
 * @param accepted  statuses that are answers
 * @throws {StoreError} ERR_OBJECT_STORE
 */
export async function persist<T extends { readonly status: number }>(
  what: string,
  accepted: readonly number[],
  attempt: () => Promise<T>,
): Promise<T> {
  for (let count = 1; ; count += 1) {
    const { status, cause, answer } = await attempt().then(
      (got) => ({ status: got.status, answer: got, cause: undefined }),
      (error: unknown) => ({ status: 0, answer: undefined, cause: error }),
    );
    if (answer !== undefined && accepted.includes(status)) return answer;
    // 409: another conditional write of the same key is under way.
    const mayPass = status === 0 || status === 409 || status === 429 || status >= 500;
    if (!mayPass || count >= MAX_ATTEMPTS) throw refusedBy(what, status, cause);
    await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MS * 2 ** count * (1 + Math.random())));
  }
}

/** @param status  0 if there was no answer */
export function refusedBy(what: string, status: number, cause?: unknown): StoreError {
  const how = status === 0 ? "does not answer" : `answered ${status}`;
  return new StoreError("ERR_OBJECT_STORE", `${what}: the object store ${how}`, { cause });
}
