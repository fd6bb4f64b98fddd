-- The write side of a context: what was decided, and how far. The rules are protocol.md's L, W and R.
create schema write;

-- One row a partition: who owns it, how far it has decided and published. A low fill factor keeps its updates on
-- their page.
create table write.ledger (
    part             int    primary key,
    incarnation      bigint not null,
    epoch            bigint not null,
    next_offset      bigint not null,
    pseq             bigint not null,
    published        bigint not null,
    published_offset bigint not null
) with (fillfactor = 20);

-- Every schema that an event was written with: history is readable without a registry.
create table write.schema (
    fingerprint bigint primary key,
    avsc        text   not null
);

-- The source of truth, and the outbox.
create table write.event (
    part    int         not null,
    pseq    bigint      not null,
    stream  uuid        not null,
    version bigint      not null,
    type    text        not null,
    schema  bigint      not null,
    data    bytea       not null,
    meta    jsonb       not null,
    at      timestamptz not null,
    constraint event_place primary key (part, pseq),
    constraint event_version unique (stream, version)
);

-- What became of each command: the dedup window, and what a late caller is told.
create table write.outcome (
    command_id   uuid        not null,
    part         int         not null,
    request_hash bytea       not null,
    body         bytea       not null,
    at           timestamptz not null,
    constraint outcome_command primary key (command_id)
);
create index outcome_at on write.outcome (at);

-- Unique values, and the event that took each.
create table write.claim (
    kind   text   not null,
    value  text   not null check (octet_length(value) <= 512),
    stream uuid   not null,
    part   int    not null,
    pseq   bigint not null,
    constraint claim_value primary key (kind, value)
);

-- An optimisation; may be deleted at any time.
create table write.snapshot (
    stream  uuid        not null,
    fold    text        not null,
    version bigint      not null,
    state   text        not null,
    at      timestamptz not null,
    primary key (stream, fold)
);

-- What could not be decided; the bytes are kept.
create table write.dead_letter (
    part       int         not null,
    position   bigint      not null,
    digest     bytea       not null,
    command_id uuid,
    code       text        not null,
    reason     text        not null,
    key        bytea,
    headers    text        not null,
    payload    bytea,
    at         timestamptz not null,
    primary key (part, position, digest)
);

-- Ends the transaction unless as many rows matched as should have: all or nothing.
create function write.require(matched bigint, wanted bigint, state text) returns boolean
language plpgsql as $$
begin
    if matched <> wanted then
        raise exception '% of % rows match', matched, wanted using errcode = state;
    end if;
    return true;
end $$;
