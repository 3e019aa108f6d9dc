-- The names with the most events in a span of minutes, the most first.
--
-- $1 the first minute  $2 the last minute  $3 at most so many
select name, cast(sum(count) as bigint) as events
from minute_counts
where minute between $1 and $2 and name <> ''
group by name
order by events desc, name
limit $3
