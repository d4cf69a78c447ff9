/** The worker thread of worker-reader.ts: does one job after the other. */

import { parentPort } from "node:worker_threads";
import { invariant } from "../../kernel/errors.ts";
import { JobRunner, type ReadingAnswer, type ReadingJob } from "./reading-job.ts";

const port = parentPort;
invariant(port !== null, "the reading worker must run in a worker thread");
const runner = new JobRunner();

port.on("message", (job: ReadingJob) => {
  const answer = runner.run(job);
  port.postMessage(answer, buffersOf(answer));
});

function buffersOf(answer: ReadingAnswer): ArrayBuffer[] {
  if (answer.kind === "fault") return [];
  const { buffer } = answer.leaves;
  return buffer instanceof ArrayBuffer ? [buffer] : [];
}
