-- The tables of data in a schema, what they take, and the statements about each: a name cannot be a parameter of them.
--
-- $1 schema  $2 table of the history
select
    tables.relname::text as name,
    tables.relname::text = $2::text as is_history,
    pg_total_relation_size(tables.oid) as bytes,
    format('select count(*) as rows from %I.%I', schemas.nspname, tables.relname) as count_rows,
    format('analyze %I.%I', schemas.nspname, tables.relname) as analyze_table,
    format('drop table %I.%I cascade', schemas.nspname, tables.relname) as drop_table
from pg_catalog.pg_class as tables
join pg_catalog.pg_namespace as schemas on schemas.oid = tables.relnamespace
where tables.relkind in ('r', 'p') and schemas.nspname = $1::text
order by tables.relname
