-- Rooms, and the log of each: `seq` counts from 1 without holes, in the order of commits.
--
-- Names are compared byte by byte, whatever the language of the database.
create table rooms (
    room text collate "C" primary key,
    head bigint not null,                           -- the seq of the newest event
    last_at bigint not null                         -- when it was, in milliseconds since 1970
);

create index rooms_by_last_at on rooms (last_at);

create table events (
    room text collate "C" not null references rooms (room),
    seq bigint not null,
    kind text not null,                             -- 'message'
    sender text collate "C" not null,
    client_id text collate "C",                     -- the sender's own id of the message, by which a retry is known
    text text not null,
    at bigint not null,                             -- milliseconds since 1970
    primary key (room, seq)
);

create unique index events_by_client_id on events (room, sender, client_id) where client_id is not null;
