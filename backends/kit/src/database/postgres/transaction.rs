//! Several statements as one transaction.

use std::sync::OnceLock;

use tokio_postgres::Row;

use super::session::Session;
use super::{Call, Parameters, queries};
use crate::database::Error;
use crate::sql::Statement;

/// A transaction that has begun. Dropped without its end, it is undone.
pub struct Transaction {
    session: Session,
    /// The first error of a statement in it. PostgreSQL undoes a transaction with a failed statement at its end, and calls that a
    /// success even when it was asked to commit.
    failed: OnceLock<Error>,
}

impl Transaction {
    pub(super) async fn begin(session: Session, how: Statement) -> Result<Self, Error> {
        session.set_in_transaction(true);
        session.query(how, &[]).await?;
        Ok(Self { session, failed: OnceLock::new() })
    }

    /// Runs a statement; its rows.
    ///
    /// # Errors
    ///
    /// As [`super::Postgres::query`].
    pub async fn query(&self, statement: Statement, parameters: Parameters<'_>) -> Result<Vec<Row>, Error> {
        self.noted(self.session.query(statement, parameters).await)
    }

    /// The same, for a statement that gives one row or none.
    ///
    /// # Errors
    ///
    /// As [`super::Postgres::query`].
    pub async fn query_opt(&self, statement: Statement, parameters: Parameters<'_>) -> Result<Option<Row>, Error> {
        Ok(self.query(statement, parameters).await?.into_iter().next())
    }

    /// Runs statements one after the other, all sent at once; the rows of each.
    ///
    /// # Errors
    ///
    /// As [`super::Postgres::query`]; one that fails fails those after it.
    pub async fn query_all(&self, statements: &[Call<'_>]) -> Result<Vec<Vec<Row>>, Error> {
        self.noted(self.session.query_all(statements).await)
    }

    /// Ends it: what `outcome` says stays when it is good and no statement has failed, and is undone otherwise.
    ///
    /// # Errors
    ///
    /// The outcome's own, that of the first statement that failed, or that of the commit.
    pub async fn end<T, E: From<Error>>(self, outcome: Result<T, E>) -> Result<T, E> {
        let outcome = match self.failed.get() {
            Some(error) => outcome.and(Err(error.clone().into())),
            None => outcome,
        };
        if self.session.is_silent() {
            return outcome;
        }
        let how = if outcome.is_ok() { queries::commit.postgres } else { queries::rollback.postgres };
        let ended = self.session.query(how, &[]).await;
        if ended.is_ok() {
            self.session.set_in_transaction(false);
        }
        match (outcome, ended) {
            (Ok(_), Err(error)) => Err(error.into()),
            (outcome, _) => outcome,
        }
    }

    fn noted<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        answer.inspect_err(|error| drop(self.failed.set(error.clone())))
    }
}

/// Runs statements between a begin and a commit, all sent at once.
pub(super) async fn pipeline(session: Session, statements: &[Call<'_>]) -> Result<Vec<Vec<Row>>, Error> {
    let (begin, commit): (Call<'_>, Call<'_>) = ((queries::begin.postgres, &[]), (queries::commit.postgres, &[]));
    let whole: Vec<Call<'_>> = std::iter::once(begin).chain(statements.iter().copied()).chain([commit]).collect();
    session.set_in_transaction(true);
    let answers = session.query_all(&whole).await;
    // The commit is answered too, whatever came before it.
    session.set_in_transaction(false);
    let mut answers = answers?;
    // The rows of begin and commit, which are none.
    answers.pop();
    answers.remove(0);
    Ok(answers)
}
