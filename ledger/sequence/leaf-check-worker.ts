/** The thread of leaf-check.ts. */

import { areLeavesOf } from "../../kernel/merkle/hash.ts";
import { serveJobs } from "../job-thread.ts";
import type { LeafJob } from "./leaf-check.ts";

serveJobs(({ leaves, written }: LeafJob): boolean => areLeavesOf(leaves, written));
