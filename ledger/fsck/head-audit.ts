/** Reads every byte of the file `head`: both slots, and the zeros behind them. */

import { CONTENT_BYTES, HEAD_PATH, readSlot, SLOT_BYTES } from "../storage/head-store.ts";
import type { DataFolder } from "./data-folder.ts";
import type { Findings } from "./finding.ts";
import type { HeadClaim } from "./tree-audit.ts";

const CHECKSUM_BYTES = 4;

/** The heads that the file records, the older one included. */
export async function readHeadClaims(folder: DataFolder, findings: Findings): Promise<readonly HeadClaim[]> {
  const bytes = await folder.read(HEAD_PATH);
  if (bytes === undefined) {
    findings.add({ path: HEAD_PATH, code: "ERR_HEAD_DAMAGE", message: "the file is missing" });
    return [];
  }
  // The first slot is written with the file, the second at the first opening, right after it.
  if (bytes.length !== SLOT_BYTES && bytes.length !== 2 * SLOT_BYTES) {
    findings.add({ path: HEAD_PATH, code: "ERR_HEAD_DAMAGE", message: `want two slots, got ${bytes.length} bytes` });
  }
  const claims: HeadClaim[] = [];
  for (let offset = 0; offset < bytes.length; offset += SLOT_BYTES) {
    const slot = readSlot(bytes, offset);
    if (slot === undefined) {
      const message = "the slot cannot be read: a crash tore it, or it was damaged";
      findings.add({ path: HEAD_PATH, code: "ERR_HEAD_DAMAGE", offset, message });
    } else {
      claims.push({ path: HEAD_PATH, offset, name: "the recorded head", size: slot.size, root: slot.root });
    }
    checkPadding(bytes, offset, findings);
  }
  return claims;
}

function checkPadding(bytes: Uint8Array, slot: number, findings: Findings): void {
  const start = slot + CONTENT_BYTES + CHECKSUM_BYTES;
  const bad = bytes.subarray(start, slot + SLOT_BYTES).findIndex((byte) => byte !== 0);
  if (bad === -1) return;
  findings.add({ path: HEAD_PATH, code: "ERR_HEAD_DAMAGE", offset: start + bad, message: "want zeros behind a slot" });
}
