-- How many events there are; no row while there is none.
select count
from totals
where name = ''
