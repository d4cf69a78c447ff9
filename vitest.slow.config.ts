import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfig } from "vitest/config";

/** Files of the quick suite whose sweeps are run whole here: those that import test/support/sweep.ts, as a test holds. */
export const SWEPT: readonly string[] = [
  "test/api/console-proof.test.ts",
  "test/api/follower.test.ts",
  "test/gateway/catalog-approval.test.ts",
  "test/kernel/bundle.test.ts",
  "test/kernel/cose-receipt.test.ts",
  "test/kernel/policy-artifact.test.ts",
  "test/kernel/mandate-revocations.test.ts",
  "test/kernel/mandate.test.ts",
  "test/kernel/session-artifact.test.ts",
  "test/kernel/receipt-scan.test.ts",
  "test/kernel/receipt-take.test.ts",
  "test/kernel/receipt.test.ts",
  "test/kernel/subtree-proof.test.ts",
  "test/ledger/fsck.test.ts",
  "test/ledger/log-faults.test.ts",
  "test/ledger/mirror.test.ts",
  "test/ledger/prune.test.ts",
  "test/ledger/tree-audit.test.ts",
  "test/verifier/damage.test.ts",
];

/** Files about whole data folders and failing disks: each second of theirs is one of the two cores', so the quick suite leaves them out. */
export const LONG: readonly string[] = [
  "test/cli/catalog.test.ts",
  "test/cli/init.test.ts",
  "test/cli/ledger-words.test.ts",
  "test/gateway/approval-events.test.ts",
  "test/gateway/approval-page.test.ts",
  "test/gateway/approvals.test.ts",
  "test/gateway/catalog-reload.test.ts",
  "test/gateway/delivery.test.ts",
  "test/gateway/edge-listen.test.ts",
  "test/gateway/edge-tasks-legacy.test.ts",
  "test/gateway/edge-unread.test.ts",
  "test/gateway/envoy.test.ts",
  "test/gateway/flow.test.ts",
  "test/gateway/fresh-listings.test.ts",
  "test/gateway/identity-keys.test.ts",
  "test/gateway/identity-mandates.test.ts",
  "test/gateway/identity-tls.test.ts",
  "test/gateway/inspection-bounds.test.ts",
  "test/gateway/inspection-stages.test.ts",
  "test/gateway/kill-switch.test.ts",
  "test/gateway/kubernetes.test.ts",
  "test/gateway/listener-files.test.ts",
  "test/gateway/limits.test.ts",
  "test/gateway/mandate-register.test.ts",
  "test/gateway/offers.test.ts",
  "test/gateway/open-tasks.test.ts",
  "test/gateway/pipeline-disk.test.ts",
  "test/gateway/policy-respond.test.ts",
  "test/gateway/quarantine.test.ts",
  "test/gateway/sealed-artifact.test.ts",
  "test/gateway/session-artifacts.test.ts",
  "test/gateway/stream-cut.test.ts",
  "test/gateway/stream-files.test.ts",
  "test/gateway/upstream-children.test.ts",
  "test/gateway/vault.test.ts",
  "test/gateway/workflow-tokens.test.ts",
  "test/kernel/fork-evidence.test.ts",
  "test/kernel/log-statement-damage.test.ts",
  "test/kernel/log-statement.test.ts",
  "test/ledger/admission-restart.test.ts",
  "test/ledger/background-checks.test.ts",
  "test/ledger/backup.test.ts",
  "test/ledger/contract/files.test.ts",
  "test/ledger/fsck-forms.test.ts",
  "test/ledger/fsck.test.ts",
  "test/ledger/leaf-tables.test.ts",
  "test/ledger/lifecycle-receipts.test.ts",
  "test/ledger/lifecycle.test.ts",
  "test/ledger/log-faults.test.ts",
  "test/ledger/many-logs.test.ts",
  "test/ledger/mirror-push.test.ts",
  "test/ledger/mirror-serve.test.ts",
  "test/ledger/mirror.test.ts",
  "test/ledger/promises.test.ts",
  "test/ledger/prune.test.ts",
  "test/ledger/raw-log.test.ts",
  "test/ledger/tree-audit.test.ts",
  "test/ledger/witnesses.test.ts",
  "test/vectors/mcp.test.ts",
];
const COMPUTING = "test/slow/bundle-damage-*.test.ts";

/** The suites that start real processes, browsers or foreign programs, one after another; then the sweeps, on two cores. */
const config: ViteUserConfig = defineConfig({
  resolve: {
    alias: {
      "#crypto": fileURLToPath(new URL("./kernel/crypto/node.ts", import.meta.url)),
      // The copy that Node loads for graphql-yoga: values of two copies do not mix.
      graphql: fileURLToPath(new URL("./node_modules/graphql/index.js", import.meta.url)),
    },
  },
  test: {
    testTimeout: 600_000,
    hookTimeout: 120_000,
    pool: "forks",
    provide: { isWholeSweep: true },
    projects: [
      {
        extends: true,
        test: {
          name: "processes",
          include: ["test/slow/**/*.test.ts"],
          exclude: [COMPUTING],
          fileParallelism: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "sweeps",
          include: [COMPUTING, ...new Set([...SWEPT, ...LONG])],
          isolate: false,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
export default config;
