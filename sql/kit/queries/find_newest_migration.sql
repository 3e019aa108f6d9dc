-- The newest migration that was applied.
select version, name
from refinery_schema_history
order by version desc
limit 1
