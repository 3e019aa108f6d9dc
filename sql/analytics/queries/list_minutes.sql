-- How many events happened in each minute of a span, those without any included, oldest first.
--
-- $1 the first minute  $2 the last minute
with recursive minutes (minute) as (
    select cast($1 as bigint)
    union all
    select minute + 60000 from minutes where minute < $2
)
select minutes.minute, coalesce(minute_counts.count, 0) as events
from minutes
left join minute_counts on minute_counts.minute = minutes.minute and minute_counts.name = ''
order by minutes.minute
