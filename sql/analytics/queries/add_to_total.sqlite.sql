-- Counts events of a name.
--
-- $1 name, '' for all together  $2 how many
insert into totals (name, count)
values ($1, $2)
on conflict (name) do update
set count = totals.count + excluded.count
