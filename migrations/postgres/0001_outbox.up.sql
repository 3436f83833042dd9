-- The outbox: messages, the partitions they are delivered by, and what programs in any language
-- need to enqueue. PostgreSQL 14 or later, no extension. Run it in one transaction (psql -1 -f).

create table outbox_version (
    version integer primary key,
    applied_at timestamptz not null default clock_timestamp()
);

-- Nobody but the default of outbox.sequence draws from it, one at a time. A relay relies on it.
create sequence outbox_sequence as bigint cache 1;

-- Rows are added by producers and moved on by the relay; ready rows are never updated.
-- state: 0 ready, 1 retrying, 2 scheduled, 3 dead letter, 4 published.
create table outbox (
    -- The transaction gets its id before the number is drawn: whoever sees that all transactions
    -- up to an id have ended knows that no lower number can still turn up.
    sequence bigint not null default
        (case when pg_current_xact_id() is not null then nextval('outbox_sequence') end),
    created_at timestamptz not null default clock_timestamp(),
    not_before timestamptz,
    due timestamptz,
    published_at timestamptz,
    died_at timestamptz,
    generation integer not null default 0,
    attempts integer not null default 0,
    deaths integer not null default 0,
    -- 0: the messages without a key, which are one order.
    partition smallint not null generated always as
        (case when coalesce(key, '') = '' then 0
              else 1 + abs(hashtextextended(key, 0) % 63) end) stored,
    state smallint not null default 0,
    caller_chose_id boolean not null default false,
    id uuid not null default gen_random_uuid(),
    topic text not null,
    -- Compared byte by byte, so that no upgrade of a locale can disturb an index.
    key text collate "C",
    headers text not null default '',
    last_error text,
    payload bytea not null,
    check (state between 0 and 4)
) with (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 10000,
    vacuum_truncate = off,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 1000,
    toast.autovacuum_vacuum_cost_delay = 0,
    toast.vacuum_truncate = off
);
alter sequence outbox_sequence owned by outbox.sequence;

create index outbox_ready on outbox (partition, sequence) where state = 0;
create index outbox_retrying on outbox (partition, key, sequence) where state = 1;
create index outbox_scheduled on outbox (partition, due, sequence) where state = 2;
create index outbox_dead on outbox (id) where state = 3;
create index outbox_dead_key on outbox (partition, key, sequence) where state = 3;
-- Dead letters over which a worker had died: few, and counted before the next one is buried.
create index outbox_killers on outbox (died_at) where state = 3 and deaths > 0;
create index outbox_published on outbox (published_at) where state = 4;
create unique index outbox_chosen_id on outbox (id) where caller_chose_id;

-- Who delivers what. `low`: nothing at or below it is ready. `care_left`, `reach`, `strikes`,
-- `suspect`: how carefully to go on after an owner died. `version` rises when an operator has
-- changed something of the partition behind its owner's back.
create table outbox_partition (
    partition smallint primary key,
    owner uuid,
    epoch bigint not null default 0,
    lease_until timestamptz,
    wanted_until timestamptz,
    served timestamptz not null default '-infinity',
    low bigint not null default 0,
    version bigint not null default 0,
    suspect bigint,
    strikes integer not null default 0,
    care_left integer not null default 0,
    reach integer not null default 0
) with (
    fillfactor = 10,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = off
);
insert into outbox_partition (partition) select generate_series(0, 63);

-- To be called in the transaction that adds messages by plain SQL: its commit wakes a worker that
-- waits. Who waits holds the lock alone; see docs/decisions/0011-wake-up-across-processes.md. Not
-- for transactions that are to be prepared (PREPARE TRANSACTION).
create function outbox_wake() returns boolean language sql volatile
begin atomic
    select case when pg_try_advisory_xact_lock_shared('outbox'::regclass::oid::integer, 1870034018)
                then true
                when pg_notification_queue_usage() > 0.5 then true
                else pg_notify('message_outbox_' || 'outbox'::regclass::oid::text, '') is not null
           end;
end;

-- For programs that write SQL: the payload is the text as it stands, in UTF-8. (A text literal put
-- into the column itself is read as an escape format: it refuses "\n" and drops backslashes.)
create function outbox_enqueue(topic text, payload text, key text default '', headers text default '')
    returns uuid language sql volatile
begin atomic
    select outbox_wake();
    insert into outbox (topic, payload, key, headers)
    values (outbox_enqueue.topic, convert_to(outbox_enqueue.payload, 'UTF8'),
            outbox_enqueue.key, coalesce(outbox_enqueue.headers, ''))
    returning id;
end;

create function outbox_enqueue(topic text, payload jsonb, key text default '', headers text default '')
    returns uuid language sql volatile
begin atomic
    select outbox_wake();
    insert into outbox (topic, payload, key, headers)
    values (outbox_enqueue.topic, convert_to(outbox_enqueue.payload::text, 'UTF8'),
            outbox_enqueue.key, coalesce(outbox_enqueue.headers, ''))
    returning id;
end;

insert into outbox_version (version) values (1);
