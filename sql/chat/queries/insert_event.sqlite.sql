-- Writes an event into a room's log, under the seq that advance_room gave.
--
-- $1 room  $2 seq  $3 kind  $4 sender  $5 client id, if any  $6 text  $7 now
insert into events (room, seq, kind, sender, client_id, text, at)
values ($1, $2, $3, $4, $5, $6, $7)
