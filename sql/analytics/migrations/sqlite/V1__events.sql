-- What happened, each event once.
create table events (
    id text not null primary key,        -- the sender's own, or a UUIDv7
    name text not null,
    at integer not null,                 -- when it happened, milliseconds since 1970
    user_id text,
    properties text,                     -- a JSON object, as it was sent
    received_at integer not null         -- when it was stored, milliseconds since 1970
) strict;

-- How many events there are of each name. The name '' stands for all of them together.
create table totals (
    name text not null primary key,
    count integer not null
) strict, without rowid;

create index totals_by_count on totals (count desc, name);

-- How many events of each name happened in a minute. The name '' stands for all of them together.
create table minute_counts (
    minute integer not null,             -- its beginning, milliseconds since 1970
    name text not null,
    count integer not null,
    primary key (minute, name)
) strict, without rowid;
