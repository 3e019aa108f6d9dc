-- The tables of data, and the statement that counts the rows of each: a name cannot be a parameter of it.
select name, 'select count(*) from "' || name || '"' as count_rows
from sqlite_schema
where type = 'table' and name not like 'sqlite\_%' escape '\' and name <> 'refinery_schema_history'
order by name
