-- Removes the outbox with all it holds. Refuses while messages are unpublished (waiting, scheduled,
-- dead letters), unless told in the same session:  create temporary table outbox_force (yes);
-- Run it outside a transaction:  sqlite3 -bail shop.db '.read 0001_outbox.down.sql'

-- An unpublished message is noted in a table that refers to the others. The trigger says so, and
-- where nobody stops at its error (a shell without -bail), the reference keeps them from being
-- dropped: raise(fail) leaves the note in place.
pragma foreign_keys = on;
drop table if exists outbox_down;
create table outbox_down (
    message integer references outbox (sequence),
    partition integer references outbox_partition (partition),
    version integer references outbox_version (version)
);
create trigger outbox_down_refuses after insert on outbox_down begin
    select raise(fail, 'outbox holds unpublished messages, which would be lost; deliver or discard them first, or force it');
end;
insert into outbox_down (message, partition, version)
select (select sequence from outbox where state <> 4 limit 1), 0,
       (select max(version) from outbox_version)
where exists (select 1 from outbox where state <> 4)
  and not exists (select 1 from sqlite_temp_master where name = 'outbox_force');

drop table outbox;
drop table outbox_partition;
drop table outbox_version;
drop table outbox_down;
