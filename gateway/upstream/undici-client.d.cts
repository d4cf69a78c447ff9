/**
 * Type of undici's client, which is imported by its own file: the package's main file loads a `fetch`, caches, proxies and mocks
 * beside it, and puts a dispatcher of its own in the place of the runtime's. Named by `paths` in tsconfig.json; nothing of it
 * exists at run time.
 */

import undici = require("undici");

export = undici.Client;
