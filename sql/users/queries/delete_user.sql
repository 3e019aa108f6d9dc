-- Forgets a user.
--
-- $1 id
delete from users
where id = $1
