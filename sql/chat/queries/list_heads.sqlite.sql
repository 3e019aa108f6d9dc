-- The seq of the newest event of each of these rooms; no row where nothing was ever said.
--
-- $1 rooms, as a JSON array
select room, head
from rooms
where room in (select value from json_each($1))
