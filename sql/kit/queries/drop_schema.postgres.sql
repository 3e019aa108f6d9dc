-- The statement that drops a schema in which nothing is left: a name cannot be a parameter of it.
--
-- $1 schema
select format('drop schema %I', $1::text) as statement
