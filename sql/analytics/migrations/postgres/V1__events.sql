-- What happened, each event once. Texts are compared byte by byte, whatever the language of the database.
create table events (
    id text collate "C" not null primary key,       -- the sender's own, or a UUIDv7
    name text collate "C" not null,
    at bigint not null,                             -- when it happened, milliseconds since 1970
    user_id text collate "C",
    properties text,                                -- a JSON object, as it was sent
    received_at bigint not null                     -- when it was stored, milliseconds since 1970
);

-- How many events there are of each name. The name '' stands for all of them together.
create table totals (
    name text collate "C" not null primary key,
    count bigint not null
);

create index totals_by_count on totals (count desc, name);

-- How many events of each name happened in a minute. The name '' stands for all of them together.
create table minute_counts (
    minute bigint not null,                         -- its beginning, milliseconds since 1970
    name text collate "C" not null,
    count bigint not null,
    primary key (minute, name)
);
