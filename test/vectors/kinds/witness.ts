/** own/witness-add-checkpoint: requests to one witness that starts empty, in order. */

import { makeCosigner } from "../../../kernel/checkpoint/note-signer.ts";
import { openNote } from "../../../kernel/checkpoint/open-note.ts";
import { parseVerifierKey, type VerifierKey } from "../../../kernel/note/verifier-key.ts";
import { EvidenceShelf } from "../../../witness/evidence.ts";
import { StateBook } from "../../../witness/state-book.ts";
import { createWitness, type Witness } from "../../../witness/witness.ts";
import { makeMemoryStateFiles } from "../../support/memory-state-files.ts";
import {
  type CaseFile,
  type CaseResult,
  caseId,
  compare,
  find,
  integerOf,
  type KindHandler,
  textOf,
  type VectorObject,
} from "../case-file.ts";

/** Keys of the witness under test: any do, since the vectors fix no cosignature. */
const COSIGNERS = [
  makeCosigner("witness.example/vectors", 0x04, new Uint8Array(32).fill(4)),
  makeCosigner("witness.example/vectors", 0x06, new Uint8Array(32).fill(6)),
];
const NOW_SECONDS = 1_800_000_000n;

async function* addCheckpoint(file: CaseFile): AsyncGenerator<CaseResult> {
  const logKey = parseVerifierKey(textOf(file.document, "log_vkey"));
  const log = { origin: textOf(file.document, "origin"), keys: [logKey] };
  const files = makeMemoryStateFiles();
  const witness = createWitness({
    book: await StateBook.open(files),
    evidence: await EvidenceShelf.open(files),
    logs: [log],
    cosigners: COSIGNERS,
    nowSeconds: () => NOW_SECONDS,
  });
  let last = "";
  for (const one of file.cases) {
    const expected = pick(one, {
      content_type: one["content_type"],
      body: one["body_exact"],
      status: integerOf(one, "status"),
    });
    const got = await find(() => answer(witness, one, logKey));
    if (expected["status"] === 200) last = checkpointText(textOf(one, "body"));
    yield compare(caseId(file, one), expected, got);
  }
  const monitored = await find(
    () => openWhole(witness.checkpoint(textOf(file.document, "origin_hash")) ?? "", logKey).text,
  );
  yield compare(caseId(file, { name: "the monitoring path serves the last cosigned checkpoint" }), last, monitored);
}

/** Status, and of content type and body what the case names; an accepted checkpoint's reply must open with it. */
async function answer(witness: Witness, one: VectorObject, logKey: VerifierKey): Promise<VectorObject> {
  if (textOf(one, "path") !== "/add-checkpoint") throw new Error("want the path /add-checkpoint");
  const body = textOf(one, "body");
  const reply = await witness.addCheckpoint(new TextEncoder().encode(body));
  if (reply.status === 200) openWhole(body.slice(body.indexOf("\n\n") + 2) + reply.body, logKey);
  return pick(one, { content_type: reply.contentType, body: reply.body, status: BigInt(reply.status) });
}

/** Opens a note in which the log's line and a fresh line of every key of the witness must verify. */
function openWhole(note: string, logKey: VerifierKey): { readonly text: string } {
  const keys = [logKey, ...COSIGNERS.map(({ key }) => key)];
  const { text, verified } = openNote(note, keys);
  if (!keys.every((key) => verified.some((line) => line.key === key))) throw new Error("a signature line is missing");
  const times = verified.flatMap(({ timestampSeconds }) => timestampSeconds ?? []);
  if (times.some((time) => time !== NOW_SECONDS)) throw new Error("a cosignature of another time");
  return { text };
}

function pick(
  one: VectorObject,
  all: { readonly content_type: unknown; readonly body: unknown; readonly status: bigint },
): VectorObject {
  return {
    status: Number(all.status),
    ...(one["content_type"] === undefined ? {} : { content_type: all.content_type }),
    ...(one["body_exact"] === undefined ? {} : { body: all.body }),
  };
}

/** The note text of the checkpoint in a request. */
function checkpointText(request: string): string {
  const note = request.slice(request.indexOf("\n\n") + 2);
  return note.slice(0, note.lastIndexOf("\n\n") + 1);
}

/** By kind. */
export const witnessKinds: Readonly<Record<string, KindHandler>> = { "own/witness-add-checkpoint": addCheckpoint };
