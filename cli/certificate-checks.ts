/**
 * The environment can switch off that Node checks certificates, for every connection that says nothing of it: to the ledger, to the
 * issuers of tokens, to approvers. A variable that was set for another program must not take that from this one.
 */

const UNCHECKED = "NODE_TLS_REJECT_UNAUTHORIZED";

/**
 * Takes the variable away that says so: Node reads it at each connection, threads and children get the environment as it is then.
 *
 * @param env  the process's own
 * @param err  told if it was there
 */
export function keepCertificateChecks(env: Record<string, string | undefined>, err: (text: string) => void): void {
  if (env[UNCHECKED] !== "0") return;
  delete env[UNCHECKED];
  err(`countersign: ${UNCHECKED}=0 is ignored: certificates are checked\n`);
}
