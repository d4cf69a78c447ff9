import type { Routes } from "./server.ts";
export function streamRoutes(_parts: object): Routes {
  return () => undefined;
}
