/** A thread's module served on the test's own thread, over a real channel: what it tells is cloned as between threads. */

import { MessageChannel, type MessagePort } from "node:worker_threads";
import type { NamedThread } from "../../gateway/egress/thread-guard.ts";

/** The thread, and the hand that ends it. */
export interface InnerThread {
  readonly thread: NamedThread;
  /** Ends it as if it had failed. */
  readonly fail: (error: Error) => void;
  /** Tells the serving thread this, as if the thread did. */
  readonly say: (message: unknown) => void;
  /** What the thread told, and what it was told, in order. */
  readonly told: readonly unknown[];
  readonly heard: readonly unknown[];
}

/** Serves `data` with a module's `serve`. */
export function startInnerThread<T>(serve: (port: MessagePort, data: T) => void, data: T): InnerThread {
  const { port1, port2 } = new MessageChannel();
  const told: unknown[] = [];
  const heard: unknown[] = [];
  let say: (message: never) => void = () => undefined;
  let ended: (error: unknown) => void = () => undefined;
  const end = (error: Error): void => {
    port1.close();
    port2.close();
    ended(error);
  };
  port2.on("message", (message: unknown) => {
    told.push(message);
    Reflect.apply(say, undefined, [message]);
  });
  serve(port1, structuredClone(data));
  const thread: NamedThread = {
    listen: (onMessage, onEnded) => {
      [say, ended] = [onMessage, onEnded];
    },
    tell: (message) => {
      heard.push(message);
      port2.postMessage(message);
    },
    terminate: async () => end(new Error("terminated")),
  };
  return { thread, told, heard, fail: end, say: (message) => Reflect.apply(say, undefined, [message]) };
}
