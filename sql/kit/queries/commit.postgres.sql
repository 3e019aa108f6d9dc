-- Makes a transaction's changes last.
commit
