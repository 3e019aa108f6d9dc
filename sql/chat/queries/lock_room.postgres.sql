-- Waits until no one else writes into a room's log, and keeps it so until the transaction ends: from here to the commit its head
-- is ours, so that seq follows the order of commits.
--
-- $1 room
select head
from rooms
where room = $1
for update
