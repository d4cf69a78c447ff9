/** Files of a witness of version 0.1.0. */

import { sha256 } from "#crypto";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import { originHash } from "../../witness/state-book.ts";

/** The file of a log whose last cosigned checkpoint is `note`. */
export function oldStateFile(origin: string, note: string): readonly [name: string, content: Uint8Array] {
  const digest = formatHex(sha256(formatUtf8(note)));
  return [`${originHash(origin)}.state`, formatUtf8(`countersign-witness-state/v1 ${digest}\n${note}`)];
}
