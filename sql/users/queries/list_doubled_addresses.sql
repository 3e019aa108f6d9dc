-- Addresses that more than one user has, without regard to case.
--
-- $1 at most so many
select email_key, count(*) as users
from users
group by email_key
having count(*) > 1
order by email_key
limit $1
