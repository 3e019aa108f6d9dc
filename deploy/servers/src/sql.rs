//! Statements in a database, for tests that look behind the scenes. Each runs on a thread of its own, since who asks may be a
//! task or not.

use std::sync::mpsc;

use tokio::sync::oneshot;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Runs statements; the rows of all of them as text.
pub fn run(url: &str, statements: &str) -> Vec<Vec<String>> {
    let (url, statements) = (url.to_owned(), statements.to_owned());
    let thread = std::thread::spawn(move || on_a_connection(&url, async |client| rows(client.simple_query(&statements).await.unwrap())));
    thread.join().expect("the statements are fine")
}

/// A transaction that is open until this is dropped.
pub struct Held {
    _end: oneshot::Sender<()>,
}

/// Runs a statement in a transaction that stays open.
pub fn hold(url: &str, statement: &str) -> Held {
    let (url, statement) = (url.to_owned(), format!("begin; {statement}"));
    let (end, ended) = oneshot::channel();
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        on_a_connection(&url, async |client| {
            client.batch_execute(&statement).await.unwrap();
            done.send(()).unwrap();
            // An error is the end, too.
            let _ = ended.await;
        });
    });
    is_done.recv().expect("the statement is fine");
    Held { _end: end }
}

fn on_a_connection<T>(url: &str, work: impl AsyncFnOnce(Client) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap_or_else(|error| panic!("{error:?}"));
        let connection = tokio::spawn(connection);
        let outcome = work(client).await;
        // The connection has ended when the client is gone and everything is said.
        let _ = connection.await;
        outcome
    })
}

fn rows(messages: Vec<SimpleQueryMessage>) -> Vec<Vec<String>> {
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|column| row.get(column).unwrap_or_default().to_owned()).collect()),
        _ => None,
    });
    rows.collect()
}
