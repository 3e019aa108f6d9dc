-- The user with this id, if any, kept from others' changes until the transaction ends.
--
-- $1 id
select id, name, email, version, created_at, updated_at
from users
where id = $1
for update
