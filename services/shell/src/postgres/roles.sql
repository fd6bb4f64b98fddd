-- What each service may do, granted to the roles that are there; none of them has to be. Run by the owner of the database
-- after every migration: what is new is granted as well.
--
--   <database>_handler     decides: writes the write side, and changes no event and no outcome
--   <database>_aggregator  keeps the views, in schemas of its own
--   <database>_reader      reads both sides, and writes nothing: a BFF
--   <database>_operator    orders what is done with dead letters: a BFF where operators sign in
do $$
declare
    of text := current_database();
    grantee text;
begin
    for grantee in
        select rolname from pg_roles
        where rolname in (of || '_handler', of || '_aggregator', of || '_reader', of || '_operator')
    loop
        execute format('grant connect on database %I to %I', of, grantee);
        execute format('grant select on public._sqlx_migrations to %I', grantee);
        execute format('grant usage on schema write, read to %I', grantee);
        execute format('grant select on all tables in schema write, read to %I', grantee);
        case grantee
        when of || '_handler' then
            execute format('grant insert, update, delete on all tables in schema write to %I', grantee);
            execute format('revoke update, delete on write.event, write.outcome, write.operation from %I', grantee);
        when of || '_aggregator' then
            execute format('grant insert, update, delete on all tables in schema read to %I', grantee);
            execute format('grant create on database %I to %I', of, grantee);
        when of || '_operator' then
            execute format('grant insert on write.operation, read.retry, read.discard to %I', grantee);
            execute format('grant update (reason, actor, at) on read.discard to %I', grantee);
            execute format('grant update (resolved_at, resolution) on write.dead_letter to %I', grantee);
            -- Whoever keeps a view has to look again before it passes over an event.
            execute format('grant update (epoch) on read.checkpoint to %I', grantee);
        else
            null;
        end case;
    end loop;
end $$;
