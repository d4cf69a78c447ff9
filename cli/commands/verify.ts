/** `countersign verify`: an evidence bundle and a trust policy in, verdicts and an exit code out. No network. */

import { MAX_ARTIFACT_BYTES } from "../../kernel/artifact-bytes.ts";
import { parseBundle } from "../../kernel/bundle.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { MAX_ROUTE_TEST_BYTES } from "../../kernel/route-test.ts";
import { formatTimestamp, parseTimestamp } from "../../kernel/time.ts";
import { parseTrustPolicy } from "../../kernel/trust-policy.ts";
import type { BuildFiles } from "../../verifier/build-provenance.ts";
import { renderVerdicts } from "../../verifier/render.ts";
import type { ReplayEngine } from "../../verifier/replay.ts";
import { verifyBundle } from "../../verifier/verify-bundle.ts";
import { type Arguments, type Command, readArguments, UsageError } from "../command.ts";
import { readBytes, readBytesUpTo, readJsonFile } from "../files.ts";
import { readBundle } from "../gateway-files.ts";
import type { Io } from "../io.ts";
import { makeReplayEngine } from "../policy/replay-engine.ts";

const HELP = `countersign verify <bundle> --trust <policy> [--disclosure <file>] [--replay] [--replay-policy <folder> …]
                   [--replay-catalog <file> …] [--artifact <file> …] [--provenance <file> …]
                   [--session-artifact <file> …] [--route-test <file> …] [--at <time>] [--json]

Verifies an evidence bundle offline under a trust policy and prints one verdict per obligation:
pass, fail, or not_established with its reason.

  --trust <file>  the trust policy: log keys, witness quorum, gateways, allowed policies and modes, required obligations
  --disclosure <file>  openings of the bundle's receipts (countersign disclose): one verdict for each; all count
  --replay        decide the calls again whose questions and requests the disclosure opens, by the policies and catalogs of
                  the bundle: the obligation policy.replay (docs/verify.md)
  --replay-policy <folder>, --replay-catalog <file>
                  the same with policies and catalogs that are not in the bundle; more than once
  --artifact <file>, --provenance <file>
                  sealed artifacts of the gateways, and statements of builders about their code; more than once: the
                  obligation build.provenance
  --session-artifact <file>
                  artifacts of single agents and sessions that receipts name; more than once: the obligation
                  artifact.session. It compares them with those of the gateways that --artifact names
  --route-test <file>
                  tests of routes around the gateways (countersign route-test); more than once: the obligation
                  route.mediation, which never passes and says exactly why
  --at <time>     judge as of this time, YYYY-MM-DDTHH:MM:SS.mmmZ; the default is the earliest witness timestamp
                  by which a quorum covers the entries, so that the verdict is the same whenever it is run
  --json          print the verdicts as JSON, with every id and digest whole

What would be judged otherwise at the present time is shown apart and changes neither verdicts nor exit code.

Exit: 0 every required obligation passes; 1 one fails; 2 none fails, but one is not established; 3 unusable input.
`;

async function run(args: readonly string[], io: Io): Promise<number> {
  const options = {
    trust: { type: "string" },
    disclosure: { type: "string" },
    replay: { type: "boolean" },
    "replay-policy": { type: "string", multiple: true },
    "replay-catalog": { type: "string", multiple: true },
    artifact: { type: "string", multiple: true },
    provenance: { type: "string", multiple: true },
    "session-artifact": { type: "string", multiple: true },
    "route-test": { type: "string", multiple: true },
    at: { type: "string" },
    json: { type: "boolean" },
  } as const;
  const given = readArguments(args, options, 1);
  const [path] = given.positionals;
  if (path === undefined) throw new UsageError("name the bundle file");
  const trust = readJsonFile(given.required("trust"), parseTrustPolicy);
  const at = given.text("at");
  const time = at === undefined ? {} : { at: parseTimestamp(at) };
  const opened = given.text("disclosure");
  const disclosure = opened === undefined ? {} : { disclosure: readBytes(opened) };
  const now = formatTimestamp(Date.now());
  const bundle = readBytes(path);
  const result = verifyBundle({
    bundle,
    trust,
    now,
    ...time,
    ...disclosure,
    ...replayOf(bundle, given),
    ...buildOf(given),
    ...sessionsOf(given),
    ...routesOf(given),
  });
  io.out(given.flag("json") ? `${JSON.stringify(result, null, 2)}\n` : renderVerdicts(result));
  return result.exit;
}

function buildOf(given: Arguments): { readonly build?: BuildFiles } {
  const [artifacts, provenance] = [given.texts("artifact"), given.texts("provenance")];
  if (artifacts.length + provenance.length === 0) return {};
  return { build: { artifacts: artifacts.map(readBytes), provenance: provenance.map(readBytes) } };
}

/** One that is longer can be none, and is not read whole. */
function sessionsOf(given: Arguments): { readonly sessionArtifacts?: readonly Uint8Array[] } {
  const files = given.texts("session-artifact");
  return files.length === 0 ? {} : { sessionArtifacts: files.map((path) => readBytesUpTo(path, MAX_ARTIFACT_BYTES)) };
}

function routesOf(given: Arguments): { readonly routeTests?: readonly Uint8Array[] } {
  const files = given.texts("route-test");
  return files.length === 0 ? {} : { routeTests: files.map((path) => readBytesUpTo(path, MAX_ROUTE_TEST_BYTES)) };
}

/** What decides again, if that is asked for. */
function replayOf(bundle: Uint8Array, given: Arguments): { readonly replay?: ReplayEngine } {
  const [folders, files] = [given.texts("replay-policy"), given.texts("replay-catalog")];
  if (!given.flag("replay") && folders.length + files.length === 0) return {};
  const { policies, catalogs } = parseBundle(bundle);
  const disclosed = policies.map((policy) =>
    policy.files.map(({ path, content }) => ({ path, content: formatUtf8(content) })),
  );
  const more = files.map((file) => ({ content: readJsonFile(file, (value) => value) }));
  return { replay: makeReplayEngine([...disclosed, ...folders.map(readBundle)], [...catalogs, ...more]) };
}

/** Offline verification of a bundle. */
export const verifyCommand: Command = { name: "verify", summary: "verify an evidence bundle offline", help: HELP, run };
