-- Which rows of a view each of its batches touched, kept for an hour: live updates resume from it (protocol.md V7).
create table read.change (
    view       text        not null,
    hash       text        not null,
    generation int         not null,
    topic      text        not null,
    part       int         not null,
    -- The events after `from_pseq`, up to `pseq`; none where rows were put right without a new event. Of one partition
    -- each begins where the one before ends, so that what was forgotten leaves a gap that can be seen.
    from_pseq  bigint      not null,
    pseq       bigint      not null,
    -- In the order of commits within a partition: it is drawn while the partition's checkpoint is locked.
    number     bigint      not null generated always as identity,
    -- The keys of the rows, an array.
    keys       json        not null,
    at         timestamptz not null default now(),
    primary key (view, hash, generation, topic, part, pseq, number)
);

create index on read.change (at);
