-- The migrations that were applied, in their order.
select version, name, checksum
from refinery_schema_history
order by version
