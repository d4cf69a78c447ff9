/** `countersign graph`: the call graph that the receipts of a bundle state, as JSON, DOT or a picture. */

import { parseBundle } from "../../kernel/bundle.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { parseTrustPolicy } from "../../kernel/trust-policy.ts";
import { type CallGraph, callGraph } from "../../verifier/call-graph.ts";
import { graphDot, graphJson, graphSvg } from "../../verifier/render-graph.ts";
import { verifyBundle } from "../../verifier/verify-bundle.ts";
import { type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readBytes, readJsonFile, writeNewFile } from "../files.ts";
import type { Io } from "../io.ts";

const HELP = `countersign graph <bundle> [--trust <policy>] [--session <id>] [--format json|dot|svg] [--out <file>]

The call graph that the receipts of an evidence bundle state: calls in their order, values of earlier answers that later
arguments repeat, and answers of one domain before calls of another. What a model made of a text is not seen.

  --trust <file>   verify the bundle first, as "countersign verify" does; a failure is said and the exit code is its own
  --session <id>   one session only
  --format <form>  json (default), dot for Graphviz, svg for a picture
  --out <file>     write to a file instead of standard output

Exit: 0 done; with --trust 1 if an obligation fails, 2 if one is not established; 3 unusable input.
`;

const FORMS: Readonly<Record<string, (graph: CallGraph) => string>> = {
  json: graphJson,
  dot: graphDot,
  svg: graphSvg,
};

async function run(args: readonly string[], io: Io): Promise<number> {
  const options = {
    trust: { type: "string" },
    session: { type: "string" },
    format: { type: "string" },
    out: { type: "string" },
  } as const;
  const given = readArguments(args, options, 1);
  const [path] = given.positionals;
  if (path === undefined) throw new UsageError("name the bundle file");
  const render = FORMS[given.text("format") ?? "json"];
  if (render === undefined) throw new UsageError("--format: want json, dot or svg");
  const bytes = readBytes(path);
  const graph = ofSession(callGraph(parseBundle(bytes)), given.text("session"));
  const trust = given.text("trust");
  const exit = trust === undefined ? EXIT.ok : judge(bytes, trust, io);
  const out = given.text("out");
  if (out === undefined) io.out(render(graph));
  else writeNewFile(out, render(graph), 0o644);
  return exit;
}

function judge(bundle: Uint8Array, trust: string, io: Io): number {
  const policy = readJsonFile(trust, parseTrustPolicy);
  const { exit } = verifyBundle({ bundle, trust: policy, now: formatTimestamp(Date.now()) });
  if (exit !== EXIT.ok) io.err('the bundle is not verified as a whole; "countersign verify" says why\n');
  return exit;
}

/** @throws {UsageError} if there is no such session */
function ofSession({ nodes, edges }: CallGraph, session: string | undefined): CallGraph {
  if (session === undefined) return { nodes, edges };
  const kept = nodes.filter((node) => node.session === session);
  if (kept.length === 0) throw new UsageError(`the bundle has no call of the session ${session}`);
  const places = new Set(kept.map(({ stream, seq }) => `${stream}/${seq}`));
  return { nodes: kept, edges: edges.filter(({ stream, to }) => places.has(`${stream}/${to}`)) };
}

/** The call graph of a bundle. */
export const graphCommand: Command = {
  name: "graph",
  summary: "draw the call graph that a bundle's receipts state",
  help: HELP,
  run,
};
