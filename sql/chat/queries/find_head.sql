-- The seq of a room's newest event; no row when nothing was ever said.
--
-- $1 room
select head
from rooms
where room = $1
