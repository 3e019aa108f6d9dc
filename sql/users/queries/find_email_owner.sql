-- Who has this address, if anyone.
--
-- $1 address, lower-cased
select id
from users
where email_key = $1
