-- Writes drafts into the log of a room that lock_room has locked, and tells what became of each, in their order.
--
-- A draft whose client id was sent before, in the log or earlier among these, is not written again: it has the place of the first.
-- A statement of its own after the lock, because it must see what was committed while that was waited for.
--
-- $1 room  $2 senders  $3 client ids, null where there is none  $4 texts  $5 times
with drafts as (
    select *
    from unnest($2::text[], $3::text[], $4::text[], $5::bigint[])
        with ordinality as draft (sender, client_id, text, at, place)
),
sent as (
    select drafts.place, events.seq, events.at
    from drafts
    join events on events.room = $1 and events.sender = drafts.sender and events.client_id = drafts.client_id
),
-- The first of each client id among these; a draft without one is always the first.
firsts as (
    select place, min(place) over (partition by sender, coalesce(client_id, place::text), client_id is null) as first
    from drafts
),
fresh as (
    select
        drafts.place, drafts.sender, drafts.client_id, drafts.text, drafts.at,
        rooms.head + row_number() over (order by drafts.place) as seq
    from drafts
    join firsts on firsts.place = drafts.place and firsts.first = drafts.place
    join rooms on rooms.room = $1
    where drafts.place not in (select place from sent)
),
written as (
    insert into events (room, seq, kind, sender, client_id, text, at)
    select $1, seq, 'message', sender, client_id, text, at
    from fresh
    order by seq
),
advanced as (
    update rooms
    set head = newest.seq, last_at = newest.at
    from (select seq, at from fresh order by seq desc limit 1) as newest
    where rooms.room = $1
)
select
    coalesce(sent.seq, fresh.seq) as seq,
    coalesce(sent.at, fresh.at) as at,
    sent.place is not null or firsts.first <> firsts.place as is_duplicate
from firsts
left join sent on sent.place = firsts.place
left join fresh on fresh.place = firsts.first
order by firsts.place
