-- The read side of a context: which versions of which views there are, and how far each has come. The tables of the
-- views themselves are made from the views' definitions, never migrated.
create schema read;

-- A generation of a version of a view has a schema of its own, named view_<hash>_<generation>.
create table read.generation (
    view       text        not null,
    hash       text        not null,
    generation int         not null,
    parts      int         not null,
    made_at    timestamptz not null default now(),
    primary key (view, hash, generation)
);

create table read.checkpoint (
    view        text    not null,
    hash        text    not null,
    generation  int     not null,
    topic       text    not null,
    part        int     not null,
    incarnation bigint  not null,
    epoch       bigint  not null,
    pseq        bigint  not null,
    next_offset bigint  not null,
    caught_up   boolean not null,
    primary key (view, hash, generation, topic, part)
) with (fillfactor = 20);

-- Events that wait because their stream cannot be folded in this view (protocol.md V6).
create table read.parked_event (
    view       text        not null,
    hash       text        not null,
    generation int         not null,
    topic      text        not null,
    part       int         not null,
    pseq       bigint      not null,
    stream     uuid        not null,
    reason     text        not null,
    headers    text        not null,
    payload    bytea,
    at         timestamptz not null,
    primary key (view, hash, generation, topic, part, pseq)
);

create function read.require(matched bigint, wanted bigint, state text) returns boolean
language plpgsql as $$
begin
    if matched <> wanted then
        raise exception '% of % rows match', matched, wanted using errcode = state;
    end if;
    return true;
end $$;
