-- The names with the most events, the most first.
--
-- $1 at most so many
select name, count
from totals
where name <> ''
order by count desc, name
limit $1
