-- Writes everything as it is at this moment into a new file, densely and without a log beside it.
--
-- $1 file
vacuum into $1
