/** `countersign kill-switch`: stops calls at a running gateway, from the next one on. */

import type { Command } from "../command.ts";
import { runSwitch, SWITCH_WORDS } from "../switch-command.ts";

const HELP = `countersign kill-switch on <target> | off <target> | list --config <file>

Refuses calls of a principal, a session, a server, a tool, or all calls at the running gateway, in every mode, until it is
switched off; a restart changes nothing. Each change leaves a receipt.

${SWITCH_WORDS}`;

/** Switches calls off and on. */
export const killSwitchCommand: Command = {
  name: "kill-switch",
  summary: "stop calls at a running gateway, and let them pass again",
  help: HELP,
  run: (args, io) => runSwitch("/kill-switch", args, io),
};
