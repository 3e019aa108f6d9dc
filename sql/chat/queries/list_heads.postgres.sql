-- The seq of the newest event of each of these rooms; no row where nothing was ever said.
--
-- $1 rooms
select room, head
from rooms
where room = any($1)
