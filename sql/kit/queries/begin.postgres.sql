-- Begins a transaction in which each statement sees what is committed when it starts.
begin isolation level read committed
