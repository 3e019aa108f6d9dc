-- Rooms whose log is not what is promised: seq from 1 without holes, each once, up to the head.
--
-- $1 at most so many
select
    rooms.room,
    rooms.head,
    count(distinct events.seq) as seqs,
    count(events.seq) as events,
    coalesce(min(events.seq), 1) as first,
    coalesce(max(events.seq), 0) as last
from rooms
left join events on events.room = rooms.room
group by rooms.room, rooms.head
having
    count(distinct events.seq) <> rooms.head
    or count(events.seq) <> rooms.head
    or coalesce(min(events.seq), 1) <> 1
    or coalesce(max(events.seq), 0) <> rooms.head
order by rooms.room
limit $1
