-- Messages that are there more than once: of one room, sender and client id there is one.
--
-- $1 at most so many
select room, sender, client_id, count(*) as copies
from events
where client_id is not null
group by room, sender, client_id
having count(*) > 1
order by room, sender, client_id
limit $1
