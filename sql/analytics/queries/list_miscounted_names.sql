-- Names whose total is not the number of their events; '' for all together.
--
-- $1 at most so many
select name, cast(sum(events) as bigint) as events, cast(sum(total) as bigint) as total
from (
    select name, count(*) as events, 0 as total
    from events
    group by name
    union all
    select '', count(*), 0
    from events
    union all
    select name, 0, count
    from totals
) as counted
group by name
having sum(events) <> sum(total)
order by name
limit $1
