-- Begins a transaction that only reads, and sees one moment.
begin isolation level repeatable read read only
