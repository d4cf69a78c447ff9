/** Tasks of the run before, and where this one keeps its own for the next. */

import type { GatewayOptions, World } from "./options.ts";
import type { ReceiptPlane } from "./receipt-plane.ts";
import { type LeftTask, LeftTasks } from "./receipts/left-tasks.ts";

/** What a run has of tasks that outlast runs. */
export interface LeftOfRun {
  readonly tasks: readonly LeftTask[];
  /** Ids of the calls that made them. */
  readonly calls: ReadonlySet<string>;
  readonly files: LeftTasks;
}

/**
 * @returns undefined if a stream ends with its run, and with it everything that is open in it
 * @throws {StoreError} ERR_STREAM_FILE
 */
export async function openLeftTasks({
  options,
  world,
  plane,
}: {
  readonly options: GatewayOptions;
  readonly world: World;
  readonly plane: ReceiptPlane;
}): Promise<LeftOfRun | undefined> {
  if (options.config.close_stream === true) return undefined;
  const { place, book } = plane.opened;
  const { folder, vaultFolder } = place;
  const files = new LeftTasks({ folder, vaultFolder, book, randomBytes: world.randomBytes, logger: options.logger });
  const tasks = await files.readAll();
  return { tasks, files, calls: new Set(tasks.map(({ call }) => call)) };
}
