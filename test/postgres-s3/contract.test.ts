import { describeStorage } from "../ledger/contract/storage-contract.ts";
import { startNode, type TestNode } from "../support/postgres-s3-log.ts";
import { PostgresServer } from "../support/postgres-server.ts";
import { S3Server, versitygw } from "../support/s3-server.ts";

describeStorage("postgres-s3", async (config) => {
  const postgres = await PostgresServer.start();
  const s3 = await S3Server.start(versitygw());
  const start = (): Promise<TestNode> => startNode(postgres, s3, { config });
  let node = await start();
  return {
    url: () => node.url,
    restart: async () => {
      await node.close();
      node = await start();
    },
    breakStorage: () => postgres.stopImmediately(),
    mendStorage: () => postgres.up(),
    remove: async () => {
      await node.close();
      await postgres.remove();
      await s3.remove();
    },
  };
});
