-- How many users there are.
select count(*) as users
from users
