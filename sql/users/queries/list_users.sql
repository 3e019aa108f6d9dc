-- A page of all users, newest first.
--
-- $1 only those older than this id (the greatest id there can be, for the first page)  $2 at most so many
select id, name, email, version, created_at, updated_at
from users
where id < $1
order by id desc
limit $2
