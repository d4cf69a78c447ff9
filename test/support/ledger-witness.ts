/** A witness in process that behaves, or misbehaves, as a test wants. */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { type Cosigner, makeCosigner } from "../../kernel/checkpoint/note-signer.ts";
import { parseNote } from "../../kernel/note/signed-note.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";

/** One request to add-checkpoint. */
export interface Submission {
  readonly old: bigint;
  readonly proofLines: number;
  readonly text: string;
  readonly size: bigint;
}

/** What a witness answers. */
export interface FakeReply {
  readonly status: number;
  readonly contentType?: string;
  readonly body?: string;
}

/** Decides the answer, at once or later; undefined leaves the request without one. */
export type Behaviour = (
  submission: Submission,
  witness: FakeWitness,
) => FakeReply | undefined | Promise<FakeReply | undefined>;

/** A witness under test. */
export interface FakeWitness {
  readonly url: string;
  readonly cosigner: Cosigner;
  /** Line of a tlog-policy. */
  readonly policyLine: string;
  readonly submissions: Submission[];
  /** Recorded size, moved by `honest`. */
  size: bigint;
  behaviour: Behaviour;
  /** What the monitoring path shows; nothing by default. */
  shown: string | undefined;
  readonly close: () => Promise<void>;
}

/** Cosigns as the specification says, without checking proofs. */
export const honest: Behaviour = (submission, witness) => {
  if (submission.old !== witness.size) return conflict(witness.size);
  witness.size = submission.size;
  return { status: 200, body: witness.cosigner.cosign(submission.text, 1_700_000_000n) };
};

/** The 409 of the specification. */
export function conflict(size: bigint): FakeReply {
  return { status: 409, contentType: "text/x.tlog.size", body: `${size}\n` };
}

export async function startFakeWitness(n: number, behaviour: Behaviour = honest): Promise<FakeWitness> {
  const cosigner = makeCosigner(`witness.example/${n}`, 0x04, new Uint8Array(32).fill(60 + n));
  const server = createServer((request, response) => void serve(request, response, witness));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const witness: FakeWitness = {
    url,
    cosigner,
    policyLine: `witness w${n} ${formatVerifierKey(cosigner.key)} ${url}/`,
    submissions: [],
    size: 0n,
    behaviour,
    shown: undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return witness;
}

async function serve(request: IncomingMessage, response: ServerResponse, witness: FakeWitness): Promise<void> {
  if (request.method === "GET") {
    const { shown } = witness;
    response.writeHead(shown === undefined ? 404 : 200).end(request.url?.endsWith("/checkpoint") ? shown : undefined);
    return;
  }
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  const body = Buffer.concat(chunks).toString();
  const split = body.indexOf("\n\n");
  const [old = "", ...proof] = body.slice(0, split).split("\n");
  const { text } = parseNote(body.slice(split + 2));
  const submission = {
    old: BigInt(old.replace(/^old /, "")),
    proofLines: proof.length,
    text,
    size: parseCheckpoint(text).size,
  };
  witness.submissions.push(submission);
  const reply = await witness.behaviour(submission, witness);
  if (reply === undefined) return;
  response.writeHead(reply.status, reply.contentType === undefined ? {} : { "content-type": reply.contentType });
  response.end(reply.body ?? "");
}
