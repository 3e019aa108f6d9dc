-- Counts events of some names, in the order of the names, so that two who do so wait for each other and not both.
--
-- $1 names, '' for all together  $2 how many of each
insert into totals (name, count)
select name, count
from unnest($1::text[], $2::bigint[]) as added (name, count)
order by name
on conflict (name) do update
set count = totals.count + excluded.count
