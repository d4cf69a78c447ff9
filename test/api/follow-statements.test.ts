/** An auditor node that follows a log through a rotation of its keys, to its end, and behind it. */

import { describe, expect, it } from "vitest";
import { type Following, followLog } from "../support/follow-log.ts";
import { closingBody, retirementBody, rotationBody, StatedLog, serveStated } from "../support/log-statements.ts";
import { MemoryRows } from "../support/memory-rows.ts";

/** A node that is shown whatever the log is when it asks. */
class Node {
  readonly log = new StatedLog();
  readonly rows = new MemoryRows();
  note = "";
  #following: Following | undefined;

  /** Steps under a checkpoint of these pairs. */
  async see(pairs: readonly number[]): Promise<string> {
    this.note = this.log.note(pairs);
    const fetchNow: typeof fetch = (input) => serveStated(this.log, this.note)(input);
    this.#following ??= await followLog({ fetch: fetchNow }, this.rows);
    return this.#following.follower.step();
  }

  async restart(): Promise<void> {
    const fetchNow: typeof fetch = (input) => serveStated(this.log, this.note)(input);
    this.#following = await followLog({ fetch: fetchNow }, this.rows);
    await this.#following.follower.recheck();
  }

  get indexed(): number | undefined {
    return this.#following?.book.head.verified?.size;
  }

  /** Alarms, those about entries of no meaning left out. */
  async alarms(): Promise<readonly string[]> {
    const codes = (await this.#following?.alarmCodes()) ?? [];
    return codes.filter((code) => !code.startsWith("malformed-entry"));
  }
}

describe("an auditor node", () => {
  it("follows keys through a rotation, also one that it slept through, and over restarts", async () => {
    const node = new Node();
    expect(await node.see([0])).toBe("current");
    node.log.declare((index) => rotationBody(index, 0, 1)).declare(retirementBody);
    expect(await node.see([1])).toBe("current");
    await node.restart();
    expect(node.indexed).toBe(3);
    node.log.fill(1);
    expect(await node.see([1])).toBe("current");
    expect([node.indexed, await node.alarms()]).toEqual([4, []]);
    node.log.fill(1);
    expect(await node.see([0])).toBe("refused");
    expect(await node.alarms()).toEqual(["false-signature ERR_LOG_SIGNATURE"]);
  });

  it("does not follow a key that no statement leads to", async () => {
    const node = new Node();
    expect(await node.see([1])).toBe("refused");
    expect(await node.alarms()).toEqual(["false-signature ERR_LOG_SIGNATURE"]);
  });

  it("sounds an alarm about an entry behind the end, at once and after a restart", async () => {
    const node = new Node();
    node.log.declare(closingBody);
    expect(await node.see([0])).toBe("current");
    expect(await node.alarms()).toEqual([]);
    await node.restart();
    node.log.fill(1);
    expect(await node.see([0])).toBe("current");
    expect(await node.alarms()).toEqual(["behind-end ERR_LOG_CLOSED"]);
  });
});
