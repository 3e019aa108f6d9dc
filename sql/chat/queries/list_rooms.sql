-- The rooms in which something was said last.
--
-- $1 at most so many
select room, head, last_at
from rooms
order by last_at desc, room
limit $1
