/**
 * Whether a certificate was taken back, by the lists in the files that the configuration names. They are read again while the
 * gateway runs. Where lists are configured each certificate below an anchor needs one of its authority that is signed, in its
 * time and not older than one that was seen: what nobody can say is refused.
 */

import type { X509Certificate } from "node:crypto";
import { formatHex } from "../../kernel/hex.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { takeRenewed } from "./certificate-files.ts";
import { namesOf, parseRevocationLists, type RevocationList } from "./revocation-list.ts";

/** What it works with. */
export interface RevocationOptions {
  readonly files: readonly string[];
  readonly readFile: (path: string) => Uint8Array;
  readonly nowMs: () => number;
  /** Age at which the files are read again. */
  readonly refreshMs: number;
  readonly logger: Logger;
}

/** The lists of a run. */
export class Revocation {
  readonly #options: RevocationOptions;
  #lists: readonly RevocationList[];
  #readAtMs: number;
  /** Of each authority, the newest list that was ever relied on here. */
  readonly #newest = new Map<string, number>();

  /** @throws {FormatError} ERR_CERTIFICATE @throws {StoreError} ERR_FILE_READ */
  constructor(options: RevocationOptions) {
    this.#options = options;
    this.#lists = this.#read();
    this.#readAtMs = options.nowMs();
  }

  /** Why a certificate that `issuer` issued is not taken; undefined if it is. */
  fault(issued: X509Certificate, issuer: X509Certificate): ReasonCode | undefined {
    this.#refresh();
    const nowMs = this.#options.nowMs();
    const names = namesOf(issued);
    const authority = formatHex(names.issuer);
    const newest = this.#newest.get(authority) ?? 0;
    const current = this.#lists.filter(
      (list) =>
        formatHex(list.issuer) === authority &&
        list.thisUpdateMs <= nowMs &&
        nowMs < list.nextUpdateMs &&
        list.thisUpdateMs >= newest &&
        list.isSignedBy(issuer),
    );
    if (current.length === 0) return "auth.revocation-unknown";
    this.#newest.set(authority, Math.max(...current.map(({ thisUpdateMs }) => thisUpdateMs)));
    return current.some(({ serials }) => serials.has(names.serial)) ? "auth.revoked" : undefined;
  }

  /** Files that cannot be read leave the lists as they are, until their time is over. */
  #refresh(): void {
    const { nowMs, refreshMs, logger } = this.#options;
    if (nowMs() - this.#readAtMs < refreshMs) return;
    this.#readAtMs = nowMs();
    takeRenewed(logger, "the revocation lists cannot be read; those at hand serve while they may", () => {
      this.#lists = this.#read();
    });
  }

  #read(): readonly RevocationList[] {
    const { files, readFile } = this.#options;
    return files.flatMap((file) => parseRevocationLists(readFile(file)));
  }
}
