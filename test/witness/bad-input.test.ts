import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatAddCheckpoint } from "../../kernel/add-checkpoint.ts";
import { makeSignerKey } from "../../kernel/note/signer-key.ts";
import type { RunningService } from "../../kernel/service/service.ts";
import { startWitness } from "../../witness/start.ts";
import { originHash } from "../../witness/state-book.ts";
import { ANSWERS_OF_OTHERS, answersToTricks } from "../support/path-tricks.ts";
import { beginRequest, sendRaw, statusesOf } from "../support/raw-http.ts";
import { makeSmallLog } from "../support/small-log.ts";

const log = makeSmallLog("log.example/a", 1, 12);
const fork = makeSmallLog("log.example/a", 1, 12, (i) => `forked ${i}`);
const stranger = makeSmallLog("stranger.example/x", 2, 10);
const errors: unknown[] = [];
const logger = { info: () => undefined, warn: () => undefined, error: (fields: object) => void errors.push(fields) };
const config = { listen: { port: 0 }, key_files: [], logs: [{ origin: log.origin, keys: [log.key] }] };
const keys = [makeSignerKey("witness.example/w", 0x04, new Uint8Array(32).fill(9))];

let folder = "";
let service: RunningService;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "countersign-witness-"));
  service = await startWitness({ config: { ...config, data_dir: folder, requests_per_minute: 100_000 }, keys, logger });
  expect((await post(formatAddCheckpoint(0n, [], log.checkpoint(5)))).status).toBe(200);
});
afterAll(async () => {
  await service.close();
  rmSync(folder, { recursive: true, force: true });
});

function post(body: string | Uint8Array, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${service.url}/add-checkpoint`, { method: "POST", body, headers });
}

/** Ready, and still at the size that it cosigned. */
async function expectHealthy(): Promise<void> {
  expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
  const note = await fetch(`${service.url}/${originHash(log.origin)}/checkpoint`);
  expect((await note.text()).split("\n")[1]).toBe("5");
  expect(errors).toEqual([]);
}

const note = log.checkpoint(5);
const hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const refusals: readonly (readonly [string, string | Uint8Array, number, string])[] = [
  ["no body", "", 400, "ERR_ADD_CHECKPOINT"],
  ["JSON", '{"old":0}', 400, "ERR_ADD_CHECKPOINT"],
  ["malformed JSON", '{"old":', 400, "ERR_ADD_CHECKPOINT"],
  ["bytes that are no UTF-8", new Uint8Array([0x6f, 0x6c, 0x64, 0xff, 0x0a, 0x0a]), 400, "ERR_UTF8"],
  ["an unknown first line", `new 5\n\n${note}`, 400, "ERR_ADD_CHECKPOINT"],
  ["an unknown line more", `old 5\nand 6\n\n${note}`, 400, "ERR_BASE64"],
  ["a size with a leading zero", `old 05\n\n${note}`, 400, "ERR_DECIMAL"],
  ["a size with a sign", `old +5\n\n${note}`, 400, "ERR_DECIMAL"],
  ["an empty size", `old \n\n${note}`, 400, "ERR_DECIMAL"],
  ["a size above 2^64", `old 18446744073709551616\n\n${note}`, 400, "ERR_DECIMAL"],
  ["64 proof lines", `old 5\n${`${hash}\n`.repeat(64)}\n${note}`, 400, "ERR_ADD_CHECKPOINT"],
  ["a short hash", "old 5\nAAAA\n\n".concat(note), 400, "ERR_BYTES_LENGTH"],
  ["line ends of another system", `old 5\r\n\r\n${note}`, 400, "ERR_NOTE"],
  ["a note without signatures", `old 5\n\n${log.origin}\n5\n${hash}\n`, 400, "ERR_NOTE"],
  ["a log that it does not know", formatAddCheckpoint(0n, [], stranger.checkpoint(5)), 404, "ERR_ORIGIN"],
  ["a false signature", `old 5\n\n${note.replace("\n5\n", "\n6\n")}`, 403, "ERR_LOG_SIGNATURE"],
  ["an old size above the size", formatAddCheckpoint(6n, [], note), 400, "ERR_SIZE_RANGE"],
  ["another root at the recorded size", formatAddCheckpoint(5n, [], fork.checkpoint(5)), 422, "ERR_ROOT_MISMATCH"],
  ["a proof that is none", `old 5\n${hash}\n\n${log.checkpoint(9)}`, 422, "ERR_PROOF_LENGTH"],
];

describe("a witness answers bad input with a code and stays well", () => {
  it.each(refusals)("%s", async (_, body, status, code) => {
    const answer = await post(body, { "content-type": "text/plain" });
    expect(answer.status).toBe(status);
    expect(await answer.text()).toMatch(new RegExp(`^${code}: [^\\n]+\\n$`, "u"));
    await expectHealthy();
  });

  it("10 MB, and bodies of any content type", async () => {
    const large = await post("x".repeat(10 * 1024 * 1024));
    expect([large.status, (await large.text()).split(":")[0]]).toEqual([413, "ERR_BODY_SIZE"]);
    for (const type of ["application/json", "multipart/form-data; boundary=x", "application/octet-stream"]) {
      const answer = await post('{"old":', { "content-type": type });
      expect([answer.status, (await answer.text()).split(":")[0]]).toEqual([400, "ERR_ADD_CHECKPOINT"]);
    }
    await expectHealthy();
  });

  it.each([
    ["/nowhere", 404, "ERR_NOT_FOUND"],
    ["/add-checkpoint", 404, "ERR_NOT_FOUND"],
    [`/${originHash("unknown.example")}/checkpoint`, 404, "ERR_NOT_FOUND"],
    ["/../../etc/passwd", 404, "ERR_NOT_FOUND"],
    ["/..%2f..%2fetc%2fpasswd/checkpoint", 404, "ERR_NOT_FOUND"],
    ["/__proto__/checkpoint", 404, "ERR_NOT_FOUND"],
    ["/%zz", 400, "ERR_REQUEST"],
  ])("GET %s", async (path, status, code) => {
    const text = await sendRaw(service.url, `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    expect(statusesOf(text)).toEqual([status]);
    expect(text).toContain(`\r\n\r\n${code}: `);
    await expectHealthy();
  });

  it("targets that mean another place than they name", async () => {
    expect(await answersToTricks(service.url)).toEqual(ANSWERS_OF_OTHERS);
    await expectHealthy();
  });

  const POST = "POST /add-checkpoint HTTP/1.1\r\nhost: x\r\n";
  it.each([
    [
      "two lengths",
      `${POST}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /readyz HTTP/1.1\r\nhost: x\r\n\r\n`,
    ],
    ["a length that is none", `${POST}content-length: x\r\n\r\n`],
    ["headers of 100 kB", `${POST}x: ${"y".repeat(100_000)}\r\n\r\n`],
    ["bytes that are not HTTP", "\u0016\u0003\u0001\r\n\r\n"],
  ])("a request with %s", async (_, text) => {
    const answer = await sendRaw(service.url, text);
    expect(statusesOf(answer)).toEqual([400]);
    expect(answer).toContain("ERR_REQUEST: ");
    await expectHealthy();
  });

  it("bodies that never end do not keep others waiting", async () => {
    const head = `${POST}content-length: 1000\r\n\r\nold 5\n`;
    const half = await Promise.all(Array.from({ length: 100 }, () => beginRequest(service.url, head)));
    expect((await post(formatAddCheckpoint(5n, [], note))).status).toBe(200);
    await expectHealthy();
    for (const socket of half) socket.destroy();
  });
});
