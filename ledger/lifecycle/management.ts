/** What a log's statements decide, put together: whether it takes entries, what it says of itself, who may have it say more. */

import type { Clock } from "../../kernel/service/service.ts";
import type { StreamBook } from "../admission/stream-book.ts";
import type { PublishedCheckpoints } from "../checkpoint/publisher.ts";
import type { Routes } from "../http/server.ts";
import type { ServedLog } from "../log.ts";
import type { LedgerOptions } from "../options.ts";
import { GatedSequencer } from "./gate.ts";
import type { KeyRing } from "./key-ring.ts";
import { LogDesk } from "./log-desk.ts";
import { operatorRoutes } from "./operator-routes.ts";
import { shardOf } from "./shard.ts";
import type { StatementBook } from "./statement-book.ts";
import { StatusDesk } from "./status-desk.ts";
import { statusRoutes } from "./status-routes.ts";

/** The statements of one log. */
export interface Management {
  /** What the log has said for good. */
  readonly book: StatementBook;
  /** Where the operator has the log say more. */
  readonly desk: LogDesk;
  readonly statusDesk: StatusDesk;
}

/** What it is made of. */
export interface ManagementParts {
  readonly log: ServedLog;
  /** What entries and statements are decided on. */
  readonly book: StatementBook;
  /** What is shown: a book without what is being decided. The same one where a decision is never taken back. */
  readonly settled: StatementBook;
  readonly ring: KeyRing;
  readonly publisher: Pick<PublishedCheckpoints, "published">;
  readonly streams: StreamBook;
  readonly clock: Clock;
}

/** The management of a log, and the log as it is served: behind the gate. */
export function openManagement(
  { config, operatorKey: operator }: LedgerOptions,
  { log, book, settled, ring, publisher, streams, clock }: ManagementParts,
): { readonly management: Management; readonly served: ServedLog } {
  const { origin } = config;
  const { tree, index } = log;
  const shard = config.shard === undefined ? undefined : shardOf(config.shard, origin);
  const sequencer = new GatedSequencer(log.sequencer, { state: () => book.state, shard, clock });
  const desk = new LogDesk({
    origin,
    sequencer: log.sequencer,
    book,
    ring,
    operator,
    clock,
    size: () => tree.size,
    publishedSize: () => publisher.published?.size ?? 0n,
    isRegistered: (stream) => streams.find(stream) !== undefined,
  });
  const statusDesk = new StatusDesk({ tree, book: settled, publisher, isPublic: config.readers === "public" });
  const served: ServedLog = {
    tree,
    index,
    sequencer,
    get minimumIndex() {
      return log.minimumIndex;
    },
    get retentionPolicy() {
      return log.retentionPolicy;
    },
  };
  return { management: { book: settled, desk, statusDesk }, served };
}

/** The routes of a log that manages itself. */
export function managementRoutes(
  { desk, statusDesk }: Management,
  operatorToken: string | undefined,
): readonly Routes[] {
  return [statusRoutes(statusDesk), operatorRoutes({ desk, operatorToken })];
}
