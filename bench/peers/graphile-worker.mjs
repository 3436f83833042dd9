// SPDX-License-Identifier: MIT
//
// graphile-worker as its page on performance has it: a local queue, jobs at once, completions in
// batches.
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import { batches, connectionString, drain, payload, publish } from './drain.mjs';

const logger = new Logger(() => (level, message) => {
    if (level === 'error') console.error(message);
});

const utilities = await makeWorkerUtils({ connectionString, logger });
await utilities.migrate();
for (const batch of batches()) {
    await utilities.addJobs(batch.map(() => ({ identifier: 'publish', payload: { payload } })));
}
await utilities.release();

await drain(async () => {
    const runner = await run({
        connectionString,
        preset: {
            worker: {
                logger,
                concurrentJobs: Number(process.env.PEER_CONCURRENT ?? 24),
                maxPoolSize: 10,
                localQueue: { size: Number(process.env.PEER_QUEUE ?? 500) },
                completeJobBatchDelay: Number(process.env.PEER_DELAY ?? 0),
                failJobBatchDelay: 0,
            },
        },
        taskList: { publish: (_, { job }) => publish(job.id) },
    });
    return () => runner.stop();
});
