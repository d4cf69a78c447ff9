/** `supply.unpinned`, `supply.install`: packages without a version, and text that tells somebody to install or update something. */

import { phrase, type WordRule } from "./word-rule.ts";

/** A runner of packages whose package has no exact version. */
export const UNPINNED: WordRule = {
  rule: "supply.unpinned",
  patterns: [
    phrase(
      "\\b(?:npx|bunx|pnpm dlx|yarn dlx) (?:-{1,2}[a-z-]{1,16} ){0,3}(?:@[a-z0-9._-]{1,64}/)?[a-z][a-z0-9._-]{1,64}(?:@(?:latest|next|\\*))?(?![a-z0-9._/@-])",
    ),
    phrase("\\b(?:uvx|pipx run) (?:-{1,2}[a-z-]{1,16} ){0,3}[a-z][a-z0-9._-]{1,64}(?:@latest)?(?![a-z0-9._=@-])"),
  ],
};

/** An order to install. */
export const INSTALL: WordRule = {
  rule: "supply.install",
  patterns: [
    phrase("\\b(?:npm|pnpm|yarn|bun) (?:install|i|add) (?:-{1,2}[a-z-]{1,16} ){0,3}[@a-z]"),
    phrase("\\b(?:pip3?|pipx|uv pip|brew|apt|apt-get|cargo|gem|go) install (?:-{1,2}[a-z-]{1,16} ){0,3}[a-z]"),
    phrase("\\bcurl [^|\\n]{1,200}\\| ?(?:sudo )?(?:ba|z|k)?sh\\b"),
    phrase(
      "\\b(?:must|please|should) (?:first )?(?:install|update|upgrade) (?:the |this |to )?(?:latest |newest )?(?:version|package|server|plugin)\\b",
    ),
  ],
};
