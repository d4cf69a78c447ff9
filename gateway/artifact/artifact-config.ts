/** The member `artifact` of a gateway's configuration: which sealed policy artifact binds it, and whose seal it takes. */

import { FormatError } from "../../kernel/errors.ts";
import type { SealRule } from "../../kernel/policy-artifact.ts";
import { array, boolean, integer, mapped, object, optional, type Shape, string } from "../../kernel/shape.ts";
import { publicKeyShape } from "../../kernel/signature/public-key.ts";

/** An agent whose files lie where the gateway can measure them. */
export type MeasuredAgent = {
  /** As the artifact's subjects name it. */
  readonly principal: string;
  readonly dir: string;
  /** A JSON object. */
  readonly metadata_file?: string;
};

/** The member `artifact`. Paths are read by the command line. */
export type ArtifactConfig = SealRule & {
  readonly file: string;
  /** Name of this gateway: an artifact for another one is refused. */
  readonly gateway: string;
  /** Time between measurements of what the artifact names. Default 300. */
  readonly remeasure_seconds?: number;
  readonly agents?: readonly MeasuredAgent[];
  readonly sessions?: SessionArtifactsConfig;
};

/** Artifacts of single agents and sessions, beside the gateway's. */
export type SessionArtifactsConfig = {
  readonly files?: readonly string[];
  /** A folder of which every file is one. */
  readonly dir?: string;
  /** True: an agent that has none is denied. Default false. */
  readonly required?: boolean;
};

/** Default of `remeasure_seconds`. */
export const REMEASURE_SECONDS = 300;

const nameShape: Shape<string> = string({ pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u, maxLength: 64 });
const pathShape: Shape<string> = string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a path" });

/** Shape of the member. */
export const artifactConfigShape: Shape<ArtifactConfig> = mapped(
  object<ArtifactConfig>({
    file: pathShape,
    gateway: nameShape,
    signers: array(object<SealRule["signers"][number]>({ name: nameShape, key: publicKeyShape }), { min: 1, max: 16 }),
    threshold: integer({ min: 1, max: 4 }),
    remeasure_seconds: optional(integer({ min: 1, max: 86_400 })),
    agents: optional(
      array(
        object<MeasuredAgent>({
          principal: string({ maxLength: 512 }),
          dir: pathShape,
          metadata_file: optional(pathShape),
        }),
        { max: 1024 },
      ),
    ),
    sessions: optional(
      object<SessionArtifactsConfig>({
        files: optional(array(pathShape, { max: 256 })),
        dir: optional(pathShape),
        required: optional(boolean()),
      }),
    ),
  }),
  (config) => {
    const { signers, threshold } = config;
    const [names, kids] = [new Set(signers.map(({ name }) => name)), new Set(signers.map(({ key }) => key.kid))];
    if (names.size < signers.length || kids.size < signers.length) {
      throw new FormatError("ERR_SHAPE", "artifact.signers: want distinct names and distinct keys");
    }
    if (threshold > signers.length) throw new FormatError("ERR_SHAPE", "artifact.threshold: want no more than signers");
    return config;
  },
);
