/** Children of a legacy server that are one agent's each: a bounded number of them, each measured before it is started. */

import { StoreError } from "../../kernel/errors.ts";
import type { Channel } from "./channel.ts";
import { ChannelSession, type ChannelSessionOptions } from "./channel-session.ts";
import type { Leg } from "./leg.ts";
import type { LegAgent, UpstreamLeg } from "./upstream.ts";

/** What children are made of. */
export interface SessionChildrenOptions extends Omit<ChannelSessionOptions, "open" | "agent" | "onGap"> {
  readonly max: number;
  /** What the shared child said of the server. */
  readonly sharedLeg: () => Leg;
  /** @throws {StoreError} ERR_UPSTREAM if the executable is not the one that was measured */
  readonly open: (agent: LegAgent) => Promise<Channel>;
}

/** The children of one server. */
export class SessionChildren {
  readonly #options: SessionChildrenOptions;
  readonly #sessions = new Set<ChannelSession>();
  /** Those that run, and those that are being started. */
  #running = 0;

  constructor(options: SessionChildrenOptions) {
    this.#options = options;
  }

  /** A session whose child is started by its first request. */
  openLeg(agent: LegAgent): UpstreamLeg {
    const { sharedLeg, nextId } = this.#options;
    const session = new ChannelSession({ ...this.#options, agent, onGap: agent.onGap, open: () => this.#start(agent) });
    this.#sessions.add(session);
    return {
      facts: () => {
        const { era, revision } = session.leg ?? sharedLeg();
        return { transport: "stdio", auth: "none", era, revision };
      },
      nextId,
      request: (request) => session.request(request),
      notify: (message) => session.notify(message),
      // What a child says comes as long as it runs; listening starts none.
      listen: () => undefined,
      close: async () => {
        this.#sessions.delete(session);
        await session.close();
      },
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sessions].map((session) => session.close()));
  }

  async #start(agent: LegAgent): Promise<Channel> {
    const { id, max, open } = this.#options;
    if (this.#running >= max)
      throw new StoreError("ERR_UPSTREAM", `${id}: ${max} children run for sessions, as many as may`);
    this.#running += 1;
    try {
      const channel = await open(agent);
      void channel.gone.then(() => {
        this.#running -= 1;
      });
      return channel;
    } catch (error) {
      this.#running -= 1;
      throw error;
    }
  }
}
