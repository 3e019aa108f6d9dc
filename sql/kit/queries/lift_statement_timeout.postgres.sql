-- Lets the statements of this transaction take as long as they need.
set local statement_timeout = 0
