-- Names whose count of a minute is not the number of their events in it; '' for all together.
--
-- $1 at most so many
select minute, name, cast(sum(events) as bigint) as events, cast(sum(count) as bigint) as count
from (
    select at - ((at % 60000) + 60000) % 60000 as minute, name, count(*) as events, 0 as count
    from events
    group by 1, 2
    union all
    select at - ((at % 60000) + 60000) % 60000, '', count(*), 0
    from events
    group by 1
    union all
    select minute, name, 0, count
    from minute_counts
) as counted
group by minute, name
having sum(events) <> sum(count)
order by minute, name
limit $1
