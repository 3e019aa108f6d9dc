-- The statement that makes a schema: a name cannot be a parameter of it.
--
-- $1 schema
select format('create schema if not exists %I', $1::text) as statement
