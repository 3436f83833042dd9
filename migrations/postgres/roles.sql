-- Optional: two roles with no more than a producer and a worker need. Run it as the owner of the
-- tables, then `grant message_producer to ...`. In a schema of its own the outbox needs
-- `grant usage on schema ... to message_producer, message_worker`, too.

do $$ begin
    if to_regrole('message_producer') is null then create role message_producer; end if;
    if to_regrole('message_worker') is null then create role message_worker; end if;
end $$;

-- Adds messages, and cannot read, change or number them. What is read is what `outbox_enqueue`
-- returns.
grant insert (id, caller_chose_id, topic, key, headers, payload, not_before, state, due),
      select (id) on outbox to message_producer;
grant usage on sequence outbox_sequence to message_producer;
-- Only for messages with an id of the caller's own: whether the same one is stored already.
-- grant select (topic, key, headers, payload, caller_chose_id) on outbox to message_producer;

-- Delivers, and sees nothing but the outbox. Operators need no more for dead letters and replay.
grant select, update, delete on outbox to message_worker;
grant select, update on outbox_partition to message_worker;
grant select on outbox_version to message_worker;
grant select, usage on sequence outbox_sequence to message_worker;
