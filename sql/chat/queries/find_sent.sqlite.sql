-- What became of a message that was sent under this client id, if it was.
--
-- $1 room  $2 sender  $3 client id
select seq, at
from events
where room = $1 and sender = $2 and client_id = $3
