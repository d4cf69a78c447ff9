/** A mirror of a log that rotates its keys and ends, and of one that goes on behind its end. */

import { rm } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isCodedError } from "../../kernel/errors.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { openMirror } from "../../ledger/mirror/run-mirror.ts";
import { makeDataDir } from "../support/ledger-service.ts";
import { policyText } from "../support/log-keys.ts";
import { closingBody, header, rotationBody, StatedLog, serveStated } from "../support/log-statements.ts";

let folder = "";
beforeEach(async () => {
  folder = await makeDataDir();
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** One round in the folder; the size, or the code of the fault. */
async function pull(log: StatedLog, pairs: readonly number[]): Promise<bigint | string> {
  const upstream = {
    url: "http://log.example",
    fetch: serveStated(log, log.note(pairs)),
    timeoutMs: 5000,
    attempts: 1,
  };
  try {
    const mirror = await openMirror({ folder, upstream, policy: parseWitnessPolicy(policyText(2)), logKeys: [] });
    try {
      return (await mirror.pull()).size;
    } finally {
      await mirror.close();
    }
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}

describe("a mirror", () => {
  it("follows a rotation that the log proves, also one that it slept through, and over restarts", async () => {
    const log = new StatedLog().fill(2);
    expect(await pull(log, [0])).toBe(3n);
    log
      .declare((index) => rotationBody(index, 0, 1))
      .declare((index) => ({
        ...header(index),
        kind: "log-key-retirement",
        rotation_index: index - 1,
      }));
    expect(await pull(log.fill(1), [1])).toBe(6n);
    expect(await pull(log.fill(1), [1])).toBe(7n);
    expect(await pull(log.fill(1), [0])).toBe("ERR_LOG_SIGNATURE");
  });

  it("does not follow a key that no statement leads to", async () => {
    const log = new StatedLog().fill(2);
    expect(await pull(log, [1])).toBe("ERR_LOG_SIGNATURE");
  });

  it("finds entries behind a closing statement, in what it has and in what it fetches", async () => {
    const log = new StatedLog().fill(2).declare(closingBody);
    expect(await pull(log, [0])).toBe(4n);
    expect(await pull(log, [0])).toBe(4n);
    expect(await pull(log.fill(1), [0])).toBe("ERR_LOG_CLOSED");
    await rm(folder, { recursive: true });
    expect(await pull(log, [0])).toBe("ERR_LOG_CLOSED");
  });
});
