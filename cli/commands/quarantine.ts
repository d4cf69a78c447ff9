/** `countersign quarantine`: a principal or session is answered plausibly, and nothing of it reaches a server. */

import type { Command } from "../command.ts";
import { runSwitch, SWITCH_WORDS } from "../switch-command.ts";

const HELP = `countersign quarantine on <target> | off <target> | list --config <file>

Puts a principal or a session into phantom execution: its calls are decided and recorded as before, and what would be
forwarded is answered with an invented result instead. Needs "quarantine" in the gateway's configuration. Only off ends it.

${SWITCH_WORDS}`;

/** Puts subjects into quarantine, and lets them out. */
export const quarantineCommand: Command = {
  name: "quarantine",
  summary: "answer a principal or session at a running gateway without forwarding anything",
  help: HELP,
  run: (args, io) => runSwitch("/quarantine", args, io),
};
