-- The newest events before a seq, descending.
--
-- $1 room  $2 seq  $3 at most so many
select seq, sender, client_id, text, at
from events
where room = $1 and seq < $2
order by seq desc
limit $3
