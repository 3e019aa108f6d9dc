-- Counts events of a name in a minute.
--
-- $1 the minute's beginning  $2 name, '' for all together  $3 how many
insert into minute_counts (minute, name, count)
values ($1, $2, $3)
on conflict (minute, name) do update
set count = minute_counts.count + excluded.count
