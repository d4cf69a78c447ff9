/** The baseline of the witness's benchmark: bare node:http, the same judgement and cosignature, one file replaced a request. */

import { open, rename } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { parseAddCheckpoint } from "../../kernel/add-checkpoint.ts";
import { makeCosigner } from "../../kernel/checkpoint/note-signer.ts";
import { verifyLines } from "../../kernel/checkpoint/open-note.ts";
import { EMPTY_TREE, judge, type TreeHead } from "../../kernel/checkpoint-judge.ts";
import type { SignerKey } from "../../kernel/note/signer-key.ts";
import type { RunningService } from "../../kernel/service/service.ts";
import type { WitnessedLog } from "../../witness/witness.ts";

/** Serves add-checkpoint; one request a log at a time is the client's to keep. */
export async function startFileWitness(
  folder: string,
  logs: readonly WitnessedLog[],
  key: SignerKey,
): Promise<RunningService> {
  const cosigner = makeCosigner(key.name, 0x04, key.seed);
  const heads = new Map<string, TreeHead>();
  const byOrigin = new Map(logs.map((log, i) => [log.origin, { log, path: join(folder, `${i}.state`) }]));
  const answer = async (body: Uint8Array): Promise<readonly [number, string]> => {
    const request = parseAddCheckpoint(body);
    const { origin } = request.checkpoint;
    const known = byOrigin.get(origin);
    if (known === undefined || verifyLines(request.note, known.log.keys).length === 0) return [403, ""];
    const ruling = judge(heads.get(origin) ?? EMPTY_TREE, request);
    if (ruling.verdict !== "record") return [409, ""];
    const line = cosigner.cosign(request.note.text, 1_800_000_000n);
    await replaceFile(folder, known.path, request.note.text + line);
    heads.set(origin, ruling.next);
    return [200, line];
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      void answer(new Uint8Array(Buffer.concat(chunks))).then(([status, text]) => {
        response.writeHead(status, { "content-length": text.length + 2 * (text.match(/—/gu)?.length ?? 0) });
        response.end(text);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function replaceFile(folder: string, path: string, text: string): Promise<void> {
  const file = await open(`${path}.tmp`, "w");
  await file.writeFile(text);
  await file.sync();
  await file.close();
  await rename(`${path}.tmp`, path);
  const parent = await open(folder, "r");
  await parent.sync();
  await parent.close();
}
