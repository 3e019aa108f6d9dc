-- How many rooms there are, and how many events in all of them: a log without holes has as many as its head says.
select count(*) as rooms, cast(coalesce(sum(head), 0) as bigint) as events
from rooms
