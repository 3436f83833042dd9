-- Nothing of the library needs these; each makes one kind of question cheap and every change of
-- such rows a little dearer. Run those you want.

-- Replaying very many published messages: pages come in order of id.
create index if not exists outbox_published_id on outbox (id) where state = 4;

-- Dead letters of one topic, oldest id first, where there are very many of others.
create index if not exists outbox_dead_topic on outbox (topic, id) where state = 3;

-- Purging very many dead letters by age.
create index if not exists outbox_dead_age on outbox (died_at) where state = 3;

-- "What happened to the messages of this key?"
create index if not exists outbox_key on outbox (key, sequence);
