-- Takes the lock that lets one process at a time migrate a schema, if it is free. It is given back with the connection.
--
-- $1 schema
select pg_try_advisory_lock(hashtextextended('superapp migrate ' || $1::text, 0)) as is_taken
