/** The `kubernetes` member of a gateway's file: the admission webhook, what it governs, and whose seals it takes (docs/deployment.md). */

import { FormatError } from "../../kernel/errors.ts";
import type { SealRule } from "../../kernel/policy-artifact.ts";
import { type Digest, digestShape } from "../../kernel/receipt/fields.ts";
import { array, integer, mapped, object, optional, type Shape, string } from "../../kernel/shape.ts";
import { publicKeyShape } from "../../kernel/signature/public-key.ts";
import { type AgentListen, agentListenShape } from "../identity/tls-config.ts";

/** An admission webhook. */
export type KubernetesConfig = SealRule & {
  /** `tls` is required; with `client_auth: require` only clients of `client_ca_file` are answered. Default port 4103. */
  readonly listen: AgentListen;
  /** Folder of the sealed artifacts that pods may name. */
  readonly artifacts_dir: string;
  /** Namespaces in which every pod needs one. Elsewhere those that say to be an agent or a gateway. */
  readonly namespaces?: readonly string[];
  /** Digests of images that gateways run. */
  readonly gateway_images?: readonly Digest[];
  /** Digests of images that may run beside them, with the command that they bring. */
  readonly sidecar_images?: readonly Digest[];
  /** Reviews with a receipt in a minute; above it they are refused. Default 3,000. */
  readonly reviews_per_minute?: number;
};

/** Port of the webhook, if the configuration says none. */
export const KUBERNETES_PORT = 4103;
export const REVIEWS_PER_MINUTE = 3_000;

const nameShape: Shape<string> = string({ pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u, maxLength: 64 });
const namespaceShape: Shape<string> = string({
  pattern: /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/u,
  maxLength: 63,
  description: "a namespace",
});
const digestsShape: Shape<readonly Digest[]> = array(digestShape, { max: 256 });

/** Shape of `kubernetes`. */
export const kubernetesShape: Shape<KubernetesConfig> = mapped(
  object<KubernetesConfig>({
    listen: agentListenShape,
    artifacts_dir: string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a path" }),
    namespaces: optional(array(namespaceShape, { max: 256 })),
    gateway_images: optional(digestsShape),
    sidecar_images: optional(digestsShape),
    reviews_per_minute: optional(integer({ min: 1, max: 1_000_000 })),
    signers: array(object<SealRule["signers"][number]>({ name: nameShape, key: publicKeyShape }), { min: 1, max: 16 }),
    threshold: integer({ min: 1, max: 4 }),
  }),
  (config) => {
    const { listen, signers, threshold } = config;
    if (listen.tls === undefined) {
      throw new FormatError("ERR_SHAPE", "kubernetes.listen: want tls; a cluster calls webhooks over HTTPS only");
    }
    if (listen.tls.client_auth === "require" && listen.tls.client_ca_file === undefined) {
      throw new FormatError("ERR_SHAPE", "kubernetes.listen.tls: want client_ca_file with client_auth require");
    }
    const kids = new Set(signers.map(({ key }) => key.kid));
    const names = new Set(signers.map(({ name }) => name));
    if (kids.size < signers.length || names.size < signers.length) {
      throw new FormatError("ERR_SHAPE", "kubernetes.signers: want distinct names and distinct keys");
    }
    if (threshold > signers.length) {
      throw new FormatError("ERR_SHAPE", "kubernetes.threshold: want no more than signers");
    }
    return config;
  },
);
