/** Addresses at issuers: https, or plain HTTP to this machine where the configuration says so. */

import { isLoopback } from "../../kernel/service/listen.ts";

/** True for an address at which an issuer may be asked; credentials in it and fragments are no part of one. */
export function isIssuerUrl(text: string, mayBeHttp: boolean): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.username !== "" || url.password !== "" || url.hash !== "") return false;
  const isLocal = url.protocol === "http:" && isLoopback(url.hostname.replace(/^\[|\]$/gu, ""));
  return url.protocol === "https:" || (mayBeHttp && isLocal);
}
