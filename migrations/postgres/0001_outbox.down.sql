-- Removes the outbox with all it holds. Refuses while messages are unpublished (waiting, scheduled,
-- dead letters), unless told in the same session:  set outbox.force = 'yes';

lock table outbox in access exclusive mode;

do $$
begin
    if coalesce(current_setting('outbox.force', true), '') <> 'yes'
       and exists (select from outbox where state <> 4) then
        raise exception 'table outbox holds unpublished messages, which would be lost; deliver or '
            'discard them first, or set outbox.force = ''yes''';
    end if;
end
$$;

drop function outbox_enqueue(text, text, text, text);
drop function outbox_enqueue(text, jsonb, text, text);
drop function outbox_wake();
drop table outbox_partition;
drop table outbox;
drop table outbox_version;
