/**
 * Bounds what is awaited. A request that is given a signal should end by it; one that does not, for whatever reason, would hold
 * for ever whoever waits for it.
 */

/**
 * Runs `work`, whose signal aborts after `ms`, and waits no longer than that.
 *
 * @throws {DOMException} TimeoutError, as `AbortSignal.timeout` gives it; or what `work` throws
 */
export async function inTime<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const fault = new DOMException(`no answer within ${ms} ms`, "TimeoutError");
      controller.abort(fault);
      reject(fault);
    }, ms);
  });
  try {
    return await Promise.race([work(controller.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}
