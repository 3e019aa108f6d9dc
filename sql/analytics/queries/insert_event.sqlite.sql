-- A new event; nothing changes when one with this id is there.
--
-- $1 id  $2 name  $3 when it happened  $4 who did it  $5 properties  $6 now
insert into events (id, name, at, user_id, properties, received_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (id) do nothing
