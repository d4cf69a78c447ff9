/** Pushes a running log to the mirrors of its configuration, each at its own pace. */

import type { PublishedCheckpoint } from "../checkpoint/publisher.ts";
import { LEDGER_DEFAULTS } from "../config.ts";
import type { ServedLog } from "../log.ts";
import type { LedgerOptions } from "../options.ts";
import { Periodic } from "../periodic.ts";
import { MirrorPusher, type MirrorView } from "./pusher.ts";

/** Bound of one request: an upload of some megabytes is on its way in it. */
const TIMEOUT_MS = 30_000;

/** What pushes. */
export interface Pushing {
  readonly views: () => readonly MirrorView[];
  readonly stop: () => Promise<void>;
}

/** Starts to push; nothing is waited for. */
export function startPushing(
  { config, logger, clock, ...options }: LedgerOptions,
  log: Pick<ServedLog, "tree" | "minimumIndex">,
  published: () => PublishedCheckpoint | undefined,
): Pushing {
  const parts = {
    origin: config.origin,
    tree: log.tree,
    get minimumIndex() {
      return log.minimumIndex;
    },
    published,
    fetch: options.fetch ?? fetch,
    timeoutMs: TIMEOUT_MS,
    nowMs: clock?.nowMs ?? Date.now,
    onFault: (mirror: string, reason: string) => logger.warn({ mirror, reason }, "a mirror was not brought up to date"),
  };
  const pushers = (config.mirrors ?? []).map((mirror) => new MirrorPusher(mirror, parts));
  const everyMs = config.witness_ms ?? LEDGER_DEFAULTS.witnessMs;
  const periodics = pushers.map((pusher) => new Periodic(everyMs, () => pusher.tick()));
  for (const periodic of periodics) periodic.start();
  return {
    views: () => pushers.map((pusher) => pusher.view()),
    stop: async () => {
      for (const periodic of periodics) periodic.stop();
      await Promise.all(pushers.map((pusher) => pusher.stop()));
    },
  };
}
