-- Makes a room in which nothing was said yet, unless it is there; after this, lock_room finds it.
--
-- $1 room  $2 now
insert into rooms (room, head, last_at)
values ($1, 0, $2)
on conflict (room) do nothing
