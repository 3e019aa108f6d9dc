-- Rooms, and the log of each: `seq` counts from 1 without holes, in the order of commits.
create table rooms (
    room text primary key,
    head integer not null,               -- the seq of the newest event
    last_at integer not null             -- when it was, in milliseconds since 1970
) strict, without rowid;

create index rooms_by_last_at on rooms (last_at);

create table events (
    room text not null references rooms (room),
    seq integer not null,
    kind text not null,                  -- 'message'
    sender text not null,
    client_id text,                      -- the sender's own id of the message, by which a retry is known
    text text not null,
    at integer not null,                 -- milliseconds since 1970
    primary key (room, seq)
) strict, without rowid;

create unique index events_by_client_id on events (room, sender, client_id) where client_id is not null;
