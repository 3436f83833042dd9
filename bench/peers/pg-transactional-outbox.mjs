// SPDX-License-Identifier: MIT
//
// pg-transactional-outbox, with whichever of its two listeners is named last: `polling`, every
// message allowed in parallel, or `replication`, which needs wal_level = logical and handles twenty
// messages at once.
import {
    DatabaseSetup,
    DatabaseSetupExporter,
    createReplicationSemaphoreConcurrencyController,
    getDisabledLogger,
    initializePollingMessageListener,
    initializeReplicationMessageListener,
} from 'pg-transactional-outbox';
import pg from 'pg';
import { batches, connectionString, drain, payload, publish, sql } from './drain.mjs';

const replicates = process.argv[5] === 'replication';
const logger = { ...getDisabledLogger(), error: (...what) => console.error(...what) };
const at = new URL(connectionString);
const dbListenerConfig = {
    host: at.hostname,
    port: Number(at.port),
    user: at.username,
    database: at.pathname.slice(1),
};
const setup = {
    outboxOrInbox: 'outbox',
    database: dbListenerConfig.database,
    schema: 'public',
    table: 'outbox',
    listenerRole: dbListenerConfig.user,
    publication: 'outbox_publication',
    replicationSlot: `slot_${dbListenerConfig.database}`,
    nextMessagesName: 'next_outbox_messages',
};
if (replicates) {
    await sql(DatabaseSetup.dropAndCreateTable(setup), DatabaseSetup.setupReplicationCore(setup));
    await sql(DatabaseSetup.setupReplicationSlot(setup));
} else {
    await sql(DatabaseSetupExporter.createPollingScript(setup));
}

const client = new pg.Client({ connectionString });
await client.connect();
for (const batch of batches()) {
    await client.query(
        `insert into outbox (id, aggregate_type, aggregate_id, message_type, payload, concurrency)
         select gen_random_uuid(), 'bench', i, 'one', $2, 'parallel' from unnest($1::int[]) as i`,
        [batch, JSON.stringify({ payload })],
    );
}
await client.end();

const config = {
    outboxOrInbox: 'outbox',
    dbListenerConfig,
    dbHandlerConfig: { ...dbListenerConfig, max: 20 },
    settings: {
        dbSchema: 'public',
        dbTable: 'outbox',
        // As its own example for an outbox has it.
        enableMaxAttemptsProtection: false,
        enablePoisonousMessageProtection: false,
        dbPublication: setup.publication,
        dbReplicationSlot: setup.replicationSlot,
        nextMessagesFunctionName: setup.nextMessagesName,
        nextMessagesBatchSize: 100,
        nextMessagesPollingIntervalInMs: 1,
    },
};
const handler = { handle: (message) => publish(message.id) };

await drain(async () => {
    const [stop] = replicates
        ? initializeReplicationMessageListener(config, handler, logger, {
              concurrencyStrategy: createReplicationSemaphoreConcurrencyController(20),
          })
        : initializePollingMessageListener(config, handler, logger);
    return stop;
});
