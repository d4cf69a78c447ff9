/** `countersign export-ocsf`: receipts as OCSF events, one JSON object a line, for whoever keeps security events. */

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { walkStream } from "../../gateway/receipts/stream-log.ts";
import { streamFolder, streamsIn } from "../../gateway/vault/stream-search.ts";
import { parseBundle } from "../../kernel/bundle.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { isReceiptKind, parseReceipt, readReceipt } from "../../kernel/receipt/receipt.ts";
import { parseKid } from "../../kernel/signature/public-key.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { parseTrustPolicy } from "../../kernel/trust-policy.ts";
import { OcsfExport } from "../../verifier/ocsf.ts";
import type { ExportedReceipt } from "../../verifier/ocsf-event.ts";
import { verifyBundle } from "../../verifier/verify-bundle.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readBytes, readJsonFile } from "../files.ts";
import type { Io } from "../io.ts";
import { makeProgress, type Progress } from "../progress.ts";
import { writeParts } from "../write-parts.ts";

const HELP = `countersign export-ocsf <bundle> --out <file> [--trust <policy>]
countersign export-ocsf --data <folder> --out <file> [--stream <id>]

Writes one OCSF 1.8.0 event for each receipt, one JSON object a line (docs/ocsf.md): of an evidence bundle, or of the streams in
a gateway's data folder, also while it runs. Events hold what receipts hold: codes, counts and keyed hashes, no payload.
Each names its receipt by stream, number and digest, and of a bundle also by its place in the log.

  --out <file>     the events; it must not be there yet
  --trust <file>   verify the bundle first, as "countersign verify" does; a failure is said and the exit code is its own
  --data <folder>  the gateway's data folder
  --stream <id>    one stream only

Exit: 0 done; with --trust 1 if an obligation fails, 2 if one is not established; 3 unusable input.
`;

const OPTIONS = {
  out: { type: "string" },
  trust: { type: "string" },
  data: { type: "string" },
  stream: { type: "string" },
} as const;

/** Events are written in pieces of about this size. */
const PIECE_CHARACTERS = 64 * 1024;

type Receipts = AsyncIterable<ExportedReceipt> | Iterable<ExportedReceipt>;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS, 1);
  const [path] = given.positionals;
  const folder = given.text("data");
  if ((path === undefined) === (folder === undefined))
    throw new UsageError("name a bundle, or a gateway's folder by --data");
  if (path === undefined && given.text("trust") !== undefined) throw new UsageError("--trust belongs to a bundle");
  const out = given.required("out");
  const progress = makeProgress("exporting", io, () => performance.now());
  try {
    const from =
      path === undefined ? receiptsOfGateway(given, progress) : receiptsOfBundle(readBytes(path), given, progress);
    const count = { events: 0 };
    const bytes = await writeParts(out, eventLines(from, count));
    const exit = path === undefined ? EXIT.ok : judge(path, given, io);
    progress.end();
    io.out(`${count.events} events, ${bytes} bytes\n`);
    return exit;
  } finally {
    progress.end();
  }
}

/** Pieces of lines. */
async function* eventLines(receipts: Receipts, count: { events: number }): AsyncGenerator<Uint8Array> {
  const ocsf = new OcsfExport();
  let piece = "";
  for await (const receipt of receipts) {
    piece += `${JSON.stringify(ocsf.eventOf(receipt))}\n`;
    count.events += 1;
    if (piece.length < PIECE_CHARACTERS) continue;
    yield formatUtf8(piece);
    piece = "";
    await setImmediate();
  }
  if (piece !== "") yield formatUtf8(piece);
}

/** Entries of other kinds, such as registrations, are no receipts of a stream. */
function* receiptsOfBundle(bytes: Uint8Array, given: Arguments, progress: Progress): Generator<ExportedReceipt> {
  const stream = given.text("stream");
  const { logs } = parseBundle(bytes);
  const total = logs.reduce((sum, { entries }) => sum + entries.length, 0);
  let done = 0;
  for (const { origin, entries } of logs) {
    for (const { index, entry } of entries) {
      done += 1;
      progress.update(done, total);
      if (!isReceiptKind(entry["kind"])) continue;
      const receipt = readReceipt(entry);
      if (stream !== undefined && receipt.stream !== stream) continue;
      yield { receipt, bytes: canonicalBytes(entry), log: { origin, index } };
    }
  }
}

async function* receiptsOfGateway(given: Arguments, progress: Progress): AsyncGenerator<ExportedReceipt> {
  const folder = given.required("data");
  const wished = given.text("stream");
  const streams = wished === undefined ? await streamsIn(folder) : [parseKid(wished)];
  const sizes = await Promise.all(streams.map((stream) => sizeOf(streamFolder(folder, stream))));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let done = 0;
  for (const stream of streams) {
    for await (const { bytes } of walkStream(streamFolder(folder, stream), 0)) {
      done += bytes.length;
      progress.update(Math.min(done, total), total);
      yield { receipt: parseReceipt(bytes), bytes };
    }
  }
}

/** Bytes of a stream's files. */
async function sizeOf(folder: string): Promise<number> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => /^receipts.*\.log$/u.test(name));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

function judge(path: string, given: Arguments, io: Io): number {
  const trust = given.text("trust");
  if (trust === undefined) return EXIT.ok;
  const policy = readJsonFile(trust, parseTrustPolicy);
  const { exit } = verifyBundle({ bundle: readBytes(path), trust: policy, now: formatTimestamp(Date.now()) });
  if (exit !== EXIT.ok) io.err('the bundle is not verified as a whole; "countersign verify" says why\n');
  return exit;
}

/** Writes receipts as OCSF events. */
export const exportOcsfCommand: Command = {
  name: "export-ocsf",
  summary: "write receipts as OCSF events, one JSON object a line",
  help: HELP,
  run,
};
