/** A PostgreSQL and an S3-compatible server that one test file has for itself. */

import { PostgresServer } from "./postgres-server.ts";
import { S3Server, versitygw } from "./s3-server.ts";

/** Both, until they are removed with what they have on disk. */
export interface StoreServers {
  readonly postgres: PostgresServer;
  readonly s3: S3Server;
  readonly remove: () => Promise<void>;
}

/** Starts both; if one does not start, the other one does not stay. */
export async function startStoreServers(): Promise<StoreServers> {
  const [postgres, s3] = await Promise.allSettled([PostgresServer.start(), S3Server.start(versitygw())]);
  if (postgres.status === "fulfilled" && s3.status === "fulfilled") {
    const remove = async (): Promise<void> => {
      await postgres.value.remove();
      await s3.value.remove();
    };
    return { postgres: postgres.value, s3: s3.value, remove };
  }
  const faults: unknown[] = [];
  for (const each of [postgres, s3]) {
    if (each.status === "rejected") faults.push(each.reason);
    else await each.value.remove();
  }
  throw new AggregateError(faults, "the servers of a test did not start");
}
