-- A page of the users whose name or address contains a text, newest first.
--
-- $1 only those older than this id  $2 the text, lower-cased  $3 at most so many
select id, name, email, version, created_at, updated_at
from users
where id < $1 and strpos(search, $2) > 0
order by id desc
limit $3
