-- Which generation of a version of a view is read, and how the others are built (protocol.md V5).
alter table read.generation
    -- All there was when it was begun is in it, and its indexes are made.
    add column is_complete           boolean     not null default false,
    -- Whether it is read as soon as it is complete, or when an operator says so.
    add column cut_over              text        not null default 'auto' check (cut_over in ('auto', 'ask')),
    -- Nothing that happened later is folded.
    add column as_of                 timestamptz,
    add column events_per_second_max int;

create table read.live (
    view       text        not null,
    hash       text        not null,
    generation int         not null,
    -- The generation that was read before: a roll back goes there.
    previous   int,
    since      timestamptz not null default now(),
    primary key (view, hash),
    foreign key (view, hash, generation) references read.generation,
    foreign key (view, hash, previous) references read.generation on delete set null (previous)
);

update read.generation g set is_complete = true
where g.parts <= (
    select count(*) from read.checkpoint c
    where (c.view, c.hash, c.generation) = (g.view, g.hash, g.generation) and c.caught_up
);

insert into read.live (view, hash, generation)
select view, hash, max(generation) from read.generation where is_complete group by view, hash;

-- What is dropped is dropped whole: no loop that still runs makes a checkpoint for it.
alter table read.checkpoint
    add foreign key (view, hash, generation) references read.generation on delete cascade;
alter table read.parked_event
    add foreign key (view, hash, generation) references read.generation on delete cascade;
