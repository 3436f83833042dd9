// SPDX-License-Identifier: MIT
//
// What all peers share: the database and JetStream that they were given, and the stopwatch. The
// time ends with the last acknowledgement, whether or not the peer has settled its last rows.
import { connect, nuid } from 'nats';
import pg from 'pg';

const [database, nats, count] = process.argv.slice(2);
if (count === undefined) {
    console.error('usage: node PEER.mjs POSTGRES_URL NATS_URL MESSAGES');
    process.exit(2);
}

export const connectionString = database;
export const messages = Number(count);
export const payload = 'x'.repeat(256);

// Ids of one run must not be duplicates of another's.
const run = nuid.next();
const bytes = new TextEncoder().encode(payload);
const connection = await connect({ servers: nats });
const stream = connection.jetstream();
setTimeout(() => {
    console.error('not drained within five minutes');
    process.exit(1);
}, 300_000).unref();

let acknowledged = 0;
let finish;
const finished = new Promise((resolve) => {
    finish = resolve;
});

/** Resolves once JetStream has acknowledged it. */
export async function publish(id) {
    await stream.publish('bench.one', bytes, { msgID: `${run}.${id}` });
    acknowledged += 1;
    if (acknowledged === messages) finish(performance.now());
}

/** Runs one after the other on a connection of its own. */
export async function sql(...statements) {
    const client = new pg.Client({ connectionString });
    await client.connect();
    for (const one of statements) await client.query(one);
    await client.end();
}

/** `start` begins to drain; what it returns, if anything, stops that. */
export async function drain(start) {
    await sql('vacuum analyze', 'checkpoint');
    const began = performance.now();
    const stop = await start();
    const took = ((await finished) - began) / 1000;
    if (stop) await stop();
    const manager = await connection.jetstreamManager();
    const held = (await manager.streams.info('BENCH')).state.messages;
    await connection.close();
    if (held !== messages) throw new Error(`the stream holds ${held} of ${messages} messages`);
    console.log(JSON.stringify({ messages, seconds: took, rate: messages / took }));
    process.exit(0);
}

/** [0, 1, …], a thousand at a time. */
export function* batches() {
    for (let first = 0; first < messages; first += 1000) {
        const length = Math.min(1000, messages - first);
        yield Array.from({ length }, (_, i) => first + i);
    }
}
