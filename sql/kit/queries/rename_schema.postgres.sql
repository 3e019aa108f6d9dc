-- The statement that gives a schema another name: names cannot be parameters of it.
--
-- $1 schema  $2 its new name
select format('alter schema %I rename to %I', $1::text, $2::text) as statement
