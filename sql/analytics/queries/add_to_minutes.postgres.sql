-- Counts events of some names in some minutes, in their order, so that two who do so wait for each other and not both.
--
-- $1 the minutes' beginnings  $2 names, '' for all together  $3 how many of each
insert into minute_counts (minute, name, count)
select minute, name, count
from unnest($1::bigint[], $2::text[], $3::bigint[]) as added (minute, name, count)
order by minute, name
on conflict (minute, name) do update
set count = minute_counts.count + excluded.count
