-- A role for each backend, which owns its own schema and may do nothing else: not read another's, not make schemas, not reach
-- another database. Run once by the image of PostgreSQL when its volume is empty, as the owner of the database:
--
--   psql -v ON_ERROR_STOP=1 -U superapp -d superapp_db -f deploy/postgres-init.sql
--
-- Their password is POSTGRES_PASSWORD of the environment, as the owner's. Later: alter role superapp_chat password '…'.

\getenv password POSTGRES_PASSWORD

create role superapp_users login nosuperuser nocreatedb nocreaterole noreplication password :'password';
create role superapp_chat login nosuperuser nocreatedb nocreaterole noreplication password :'password';
create role superapp_analytics login nosuperuser nocreatedb nocreaterole noreplication password :'password';

-- What everyone may do by default.
revoke all on database :"DBNAME", postgres, template1 from public;
revoke all on schema public from public;

grant connect on database :"DBNAME" to superapp_users, superapp_chat, superapp_analytics;

-- A backend makes its tables itself; nobody else may use them.
create schema users authorization superapp_users;
create schema chat authorization superapp_chat;
create schema analytics authorization superapp_analytics;
