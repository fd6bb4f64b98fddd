-- What operators do with what could not be decided (W10) and what could not be folded (V6).

-- Who did what to which dead letter, and why. Nothing is ever taken out of it.
create table write.operation (
    id     bigint      generated always as identity primary key,
    at     timestamptz not null default clock_timestamp(),
    actor  text        not null,
    action text        not null,
    -- As people name it: customers/customer/3:17, customers/commands/3:42.
    letter text        not null,
    reason text        not null,
    result text        not null
);
create index operation_letter on write.operation (letter, id);

create function write.refuse() returns trigger
language plpgsql as $$
begin
    raise exception '% can only be appended to', tg_table_name;
end $$;
create trigger operation_stays before update or delete on write.operation
    for each row execute function write.refuse();

-- The bytes stay, as the proof that the record was dealt with (W5); whether anything is left to do is said here.
alter table write.dead_letter
    add column resolved_at timestamptz,
    add column resolution  text;
create index dead_letter_command on write.dead_letter (command_id);
create index dead_letter_open on write.dead_letter (at) where resolved_at is null;

-- Streams that are to be tried again. The loop that keeps the view takes these rows away with what it made of them.
create table read.retry (
    id         bigint generated always as identity primary key,
    view       text   not null,
    hash       text   not null,
    generation int    not null,
    topic      text   not null,
    part       int    not null,
    stream     uuid   not null,
    foreign key (view, hash, generation) references read.generation on delete cascade
);
create index retry_stream on read.retry (view, hash, generation, topic, part, stream);
create index parked_event_stream on read.parked_event (view, hash, generation, topic, part, stream, pseq);

-- Events that a view passes over, in every version and generation of it from now on.
create table read.discard (
    view   text        not null,
    topic  text        not null,
    part   int         not null,
    pseq   bigint      not null,
    reason text        not null,
    actor  text        not null,
    at     timestamptz not null default now(),
    primary key (view, topic, part, pseq)
);
