/** The thread of files-thread.ts. */

import { serveJobs } from "../job-thread.ts";
import { writeNewFiles } from "./new-files.ts";

serveJobs(writeNewFiles);
