-- Where it is noted which migrations were applied, in the form that refinery gives it.
create table if not exists refinery_schema_history (
    version int4 primary key,
    name varchar(255),
    applied_on varchar(255),
    checksum varchar(255)
)
