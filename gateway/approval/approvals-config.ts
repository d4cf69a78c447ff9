/** How approvals are told to people: where operators look, and a webhook. */

import { FormatError } from "../../kernel/errors.ts";
import { mapped, object, optional, type Shape, string } from "../../kernel/shape.ts";

/** Member `approvals` of the configuration. */
export type ApprovalsConfig = {
  /** Where operators reach the operators' listener, without a slash at the end: agents are told it as the page. Default: its address. */
  readonly page_url?: string;
  /** Told of every approval that waits, and of what became of it. */
  readonly webhook?: WebhookConfig;
};

/** A receiver of events (docs/gateway.md). */
export type WebhookConfig = {
  readonly url: string;
  /** A line `whsec_` and base64 of 24 to 64 bytes. */
  readonly secret_file: string;
};

export const approvalsShape: Shape<ApprovalsConfig> = object<ApprovalsConfig>({
  page_url: optional(mapped(string({ maxLength: 2_048, description: "a URL" }), checkPage)),
  webhook: optional(
    object<WebhookConfig>({
      url: mapped(string({ maxLength: 2_048, description: "a URL" }), checkWeb),
      secret_file: string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a path" }),
    }),
  ),
});

function checkPage(text: string): string {
  if (new URL(checkWeb(text)).hash !== "" || text.endsWith("/")) {
    throw new FormatError("ERR_SHAPE", "want a URL without a fragment and without a slash at the end");
  }
  return text;
}

function checkWeb(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url?.protocol === "https:" || url?.protocol === "http:";
  if (isWeb && url.username === "" && url.password === "") return text;
  throw new FormatError("ERR_SHAPE", "want an http or https URL without user info");
}
