/** The tools of the soak's servers, by the way in which they answer. `forbidden` is denied by the policy. */

export const TOOL_NAMES = ["echo", "late", "large", "steps", "cut", "forbidden"] as const;
export type ToolName = (typeof TOOL_NAMES)[number];

/** Ids of the two servers: one that always works, and one that hangs for a while. */
export const SERVERS = ["work", "stuck"] as const;
export type ServerId = (typeof SERVERS)[number];
