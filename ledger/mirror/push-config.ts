/** The mirrors that a log pushes to, as its configuration names them. */

import { FormatError } from "../../kernel/errors.ts";
import { parseVerifierKey, type VerifierKey } from "../../kernel/note/verifier-key.ts";
import { array, mapped, object, type Shape, string } from "../../kernel/shape.ts";

/** One mirror. */
export type MirrorConfig = {
  /** Submission prefix: `/add-checkpoint` and `/add-entries` are below it. */
  readonly url: string;
  /** Key of type 0x04 or 0x06 whose cosignature says that everything is stored. */
  readonly key: VerifierKey;
};

const MAX_MIRRORS = 16;

/** Shape of the list. */
export const mirrorsShape: Shape<readonly MirrorConfig[]> = array(
  object<MirrorConfig>({
    url: string({ pattern: /^https?:\/\/[^\s]+$/u, maxLength: 4096, description: "an http or https URL" }),
    key: mapped(string({ maxLength: 4096 }), readKey),
  }),
  { max: MAX_MIRRORS },
);

function readKey(text: string): VerifierKey {
  const key = parseVerifierKey(text);
  if (key.type !== 0x01) return key;
  throw new FormatError("ERR_CONFIG", "want a key of type 4 or 6, got a log's");
}
