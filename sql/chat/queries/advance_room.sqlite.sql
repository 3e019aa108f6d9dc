-- Gives the next seq of a room, which is made where it is new.
--
-- $1 room  $2 now
insert into rooms (room, head, last_at)
values ($1, 1, $2)
on conflict (room) do update set head = rooms.head + 1, last_at = excluded.last_at
returning head
