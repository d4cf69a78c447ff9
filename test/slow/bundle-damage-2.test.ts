import { sweepBundle } from "../support/damaged-bundle.ts";

await sweepBundle(1);
