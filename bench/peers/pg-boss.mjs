// SPDX-License-Identifier: MIT
//
// pg-boss with workers that take a thousand jobs at a time, and the next thousand at once while
// there are as many.
import { PgBoss } from 'pg-boss';
import { batches, connectionString, drain, payload, publish } from './drain.mjs';

const boss = new PgBoss({ connectionString, supervise: false, schedule: false });
boss.on('error', (failure) => console.error(failure));
await boss.start();
await boss.createQueue('publish');
for (const batch of batches()) {
    await boss.insert('publish', batch.map(() => ({ data: { payload } })));
}

await drain(async () => {
    await boss.work(
        'publish',
        {
            batchSize: 1000,
            pollingIntervalSeconds: 0.5,
            burstWhenBatchFull: true,
            localConcurrency: Number(process.env.PEER_CONCURRENT ?? 2),
        },
        (jobs) => Promise.all(jobs.map((job) => publish(job.id))),
    );
    return () => boss.stop();
});
