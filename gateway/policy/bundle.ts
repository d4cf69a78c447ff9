/**
 * A policy bundle: `policy.json` with its version, `*.cedar` files, and `*.rules.json` with rules of inspection. What is read here is what the digest covers and
 * what decides: the files on disk are not looked at again.
 */

import { parseUtf8 } from "../../kernel/bytes.ts";
import { FormatError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { digestFile, type ManifestFile, policyDigest } from "../../kernel/policy-manifest.ts";
import { object, readShape, type Shape, string } from "../../kernel/shape.ts";
import { readOwnRules } from "../inspection/operator-rules.ts";
import type { OwnRules } from "../inspection/text-findings.ts";
import { type PolicyNotes, readAnnotations } from "./annotations.ts";
import { describePolicy, type PolicyJson, splitPolicies } from "./cedar.ts";

/** One file as it was read. */
export interface BundleFile {
  readonly path: string;
  readonly content: Uint8Array;
}

/** One policy with its text, structure and annotations. */
export interface BundlePolicy {
  readonly notes: PolicyNotes;
  readonly text: string;
  readonly json: PolicyJson;
}

/** A bundle that loads; whether it fits a catalog is another question. */
export interface PolicyBundle {
  /** `sha256:<hex>` of the manifest. */
  readonly digest: string;
  readonly version: string;
  readonly files: readonly ManifestFile[];
  /** By id. */
  readonly policies: ReadonlyMap<string, BundlePolicy>;
  /** Finds by the bundle's own rules of inspection. */
  readonly ownRules: OwnRules;
}

const DESCRIPTION = "policy.json";
/** What the name of a file of inspection rules ends with. */
const RULES_SUFFIX = ".rules.json";
/** What receipts take (kernel/receipt/policy-load.ts), at most three folders deep. The list of 256 such files is one entry of a log. */
const PATH = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}){0,3}$/;
const MAX_PATH = 128;
const VERSION = /^[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}$/;
const MAX_FILES = 256;

const descriptionShape: Shape<{ version: string }> = object<{ version: string }>({
  version: string({ pattern: VERSION, maxLength: 64, description: "a version" }),
});

/**
 * The rules that hold where no bundle is configured: what the catalog has may be called. Not a file, so that nobody
 * copies it; `enforcing` mode refuses to start with it.
 */
export const BUILT_IN_BUNDLE: readonly BundleFile[] = [
  { path: DESCRIPTION, content: new TextEncoder().encode('{"version":"built-in-2"}\n') },
  {
    path: "built-in.cedar",
    content: new TextEncoder().encode(
      `@id("built-in.catalog")
permit(
  principal,
  action in [Mcp::Action::"call_tool", Mcp::Action::"get_prompt", Mcp::Action::"read_resource", Mcp::Action::"complete",
    Mcp::Action::"subscribe", Mcp::Action::"task", Mcp::Action::"elicit", Mcp::Action::"roots"],
  resource
);
`,
    ),
  },
];

/**
 * Parses the files of a bundle.
 *
 * @throws {FormatError} ERR_POLICY_BUNDLE naming file and policy; ERR_JSON_*, ERR_SHAPE for `policy.json`
 */
export function parseBundle(files: readonly BundleFile[]): PolicyBundle {
  checkFiles(files);
  const description = files.find(({ path }) => path === DESCRIPTION);
  if (description === undefined) throw refused(`want a file ${DESCRIPTION} with {"version": "…"}`);
  const { version } = readShape(descriptionShape, parseJson(description.content), DESCRIPTION);
  const manifest = files.map(({ path, content }) => ({ path, digest: digestFile(content) }));
  const policies = new Map<string, BundlePolicy>();
  for (const { path, content } of files.filter((file) => file.path.endsWith(".cedar"))) {
    for (const policy of parseFile(path, parseUtf8(content))) {
      if (policies.has(policy.notes.id)) throw refused(`${path}: the id "${policy.notes.id}" stands twice`);
      policies.set(policy.notes.id, policy);
    }
  }
  if (policies.size === 0) throw refused("it holds no policy; everything would be denied");
  const ownRules = readOwnRules(files.filter(({ path }) => path.endsWith(RULES_SUFFIX)));
  return { digest: policyDigest(version, manifest), version, files: manifest, policies, ownRules };
}

function parseFile(path: string, text: string): readonly BundlePolicy[] {
  return splitPolicies(path, text).map((policy) => {
    const json = describePolicy(path, policy);
    return { notes: readAnnotations(path, json), text: policy, json };
  });
}

function checkFiles(files: readonly BundleFile[]): void {
  if (files.length > MAX_FILES) throw refused(`want at most ${MAX_FILES} files, got ${files.length}`);
  for (const { path } of files) {
    if (!PATH.test(path) || path.length > MAX_PATH) throw refused(`the path ${JSON.stringify(path)} is not allowed`);
    if (path !== DESCRIPTION && !path.endsWith(".cedar") && !path.endsWith(RULES_SUFFIX))
      throw refused(`${path}: want ${DESCRIPTION}, *.cedar and *${RULES_SUFFIX} files only`);
  }
}

function refused(why: string): FormatError {
  return new FormatError("ERR_POLICY_BUNDLE", `policy bundle: ${why}`);
}
