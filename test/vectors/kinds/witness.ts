/** own/witness-add-checkpoint: requests to one witness that starts empty, in order. */

import type { KindHandler } from "../case-file.ts";
import { notBuilt } from "./later.ts";

/** By kind. */
export const witnessKinds: Readonly<Record<string, KindHandler>> = {
  "own/witness-add-checkpoint": notBuilt("it needs the witness"),
};
