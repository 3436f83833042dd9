-- The outbox: messages, and who delivers them. SQLite 3.35 or later. Run it in one transaction:
--     sqlite3 -bail shop.db 'begin immediate' '.read 0001_outbox.up.sql' 'commit'
-- Programs in any language enqueue with:  insert into outbox (topic, payload, key) values (…);
-- Times are microseconds since 1970, UTC.

create table outbox_version (
    version integer primary key,
    applied_at bigint not null
        default (cast(round((julianday('now') - 2440587.5) * 86400000) as integer) * 1000)
);

-- Rows are added by producers and moved on by the relay; ready rows are never updated.
-- state: 0 ready, 1 retrying, 2 scheduled, 3 dead letter, 4 published.
create table outbox (
    -- A number never comes back. Who draws one holds the only write lock until it commits, so
    -- numbers become visible in their order; leave it out of your inserts.
    sequence integer primary key autoincrement,
    state integer not null default 0,
    generation integer not null default 0,
    attempts integer not null default 0,
    deaths integer not null default 0,
    caller_chose_id integer not null default 0,
    created_at bigint not null
        default (cast(round((julianday('now') - 2440587.5) * 86400000) as integer) * 1000),
    not_before bigint,
    due bigint,
    published_at bigint,
    died_at bigint,
    -- A UUID; here one of version 4.
    id text not null default (
        lower(hex(randomblob(4))) || '-' || lower(hex(randomblob(2))) || '-4' ||
        substr(lower(hex(randomblob(2))), 2) || '-' || substr('89ab', 1 + (random() & 3), 1) ||
        substr(lower(hex(randomblob(2))), 2) || '-' || lower(hex(randomblob(6)))),
    topic text not null,
    key text,
    headers text not null default '',
    last_error text,
    payload blob not null,
    -- For a list SQLite would fill an index anew with every row.
    check (state between 0 and 4 and typeof(state) = 'integer'),
    check (typeof(created_at) = 'integer'),
    check (typeof(not_before) in ('integer', 'null')),
    check (id glob '[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'),
    check (typeof(topic) = 'text'),
    check (typeof(key) in ('text', 'null')),
    check (typeof(headers) = 'text')
);

create index outbox_ready on outbox (sequence) where state = 0;
create index outbox_retrying on outbox (coalesce(key, ''), sequence) where state = 1;
create index outbox_scheduled on outbox (due, sequence) where state = 2;
create index outbox_dead on outbox (id) where state = 3;
create index outbox_dead_key on outbox (coalesce(key, ''), sequence) where state = 3;
-- Dead letters over which a worker had died: few, and counted before the next one is buried.
create index outbox_killers on outbox (died_at) where state = 3 and deaths > 0;
create index outbox_published on outbox (published_at) where state = 4;
create unique index outbox_chosen_id on outbox (id) where caller_chose_id = 1;

-- Who delivers. SQLite has one writer at a time, so all messages are one partition, number 0.
-- `care_left`, `reach`, `strikes`, `suspect`: how carefully to go on after an owner died.
-- `version` rises when an operator has changed something behind the owner's back.
create table outbox_partition (
    partition integer primary key check (partition = 0),
    epoch bigint not null default 0,
    lease_until bigint not null default 0,
    version bigint not null default 0,
    suspect bigint,
    strikes integer not null default 0,
    care_left integer not null default 0,
    reach integer not null default 0,
    owner text
);
insert into outbox_partition (partition) values (0);

insert into outbox_version (version) values (1);
