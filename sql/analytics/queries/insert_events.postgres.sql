-- New events; those whose id is there already, or comes earlier among these, are left out. Tells which are new. In the order of
-- ids, so that two who do so wait for each other and not both.
--
-- $1 ids  $2 names  $3 when they happened  $4 who did them  $5 properties  $6 when they came in
insert into events (id, name, at, user_id, properties, received_at)
select id, name, at, user_id, properties, received_at
from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[])
    with ordinality as event (id, name, at, user_id, properties, received_at, place)
order by id, place
on conflict (id) do nothing
returning id
