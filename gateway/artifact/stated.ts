/** What a configuration says that a sealed artifact may bind: gateway and mode, who operates it, who approves catalogs. */

import { FormatError } from "../../kernel/errors.ts";
import { approvalRule, type GatewayConfig } from "../config.ts";
import type { Present } from "./artifact-check.ts";

/** The members of a configuration that are compared with an artifact. */
export type BoundConfig = Pick<
  GatewayConfig,
  "artifact" | "catalog" | "data_dir" | "limits" | "mode" | "operators" | "quarantine"
>;

/** @throws {FormatError} ERR_CONFIG if no artifact is configured */
export function statedBy(config: BoundConfig): Pick<Present, "gateway" | "mode" | "operators" | "approvers"> {
  const { artifact, mode, operators = [] } = config;
  if (artifact === undefined) throw new FormatError("ERR_CONFIG", "config.artifact: none is configured");
  const rule = approvalRule(config);
  return {
    gateway: artifact.gateway,
    mode,
    // Whoever has `operator_token_file` is one of them.
    operators: [{ name: "local", roles: [] }, ...operators.map(({ name, roles = [] }) => ({ name, roles }))],
    approvers:
      rule === undefined ? undefined : { kids: rule.approvers.map(({ key }) => key.kid), threshold: rule.threshold },
  };
}
