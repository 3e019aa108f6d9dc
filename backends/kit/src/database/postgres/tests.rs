//! PostgreSQL as it behaves when things go wrong.
