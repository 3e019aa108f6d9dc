//! `superapp seed`: demo users and messages through the HTTP API of a running system.
//!
//! Doing it again adds nothing: an address can be taken once, and a message with the same id of its sender is the same message.

use anyhow::{Context, bail};
use http::StatusCode;
use serde_json::{Value, json};

use crate::client::Client;

const USERS: [(&str, &str); 5] = [
    ("Ada Lovelace", "ada@example.com"),
    ("Grace Hopper", "grace@example.com"),
    ("Alan Turing", "alan@example.com"),
    ("Katherine Johnson", "katherine@example.com"),
    ("Edsger Dijkstra", "edsger@example.com"),
];

/// Room, sender, text.
const MESSAGES: [(&str, &str, &str); 6] = [
    ("lobby", "ada", "Good morning! Is anyone here?"),
    ("lobby", "grace", "Here. I found a moth in the relay again."),
    ("lobby", "alan", "Are you sure it is a moth and not a very good imitation of one?"),
    ("lobby", "katherine", "I checked the numbers by hand: it is a moth."),
    ("ops", "edsger", "Testing shows the presence of moths, never their absence."),
    ("ops", "grace", "Deploying anyway; it is easier to ask forgiveness."),
];

/// Fills the system behind `url`.
pub(crate) async fn run(url: String) -> anyhow::Result<()> {
    let client = Client::new(&url)?;
    let mut created = 0;
    for (name, email) in USERS {
        let (status, body) = client.post("/users", &json!({ "name": name, "email": email })).await?;
        match status {
            StatusCode::CREATED => created += 1,
            StatusCode::CONFLICT => {}
            _ => bail!("create user {email}: {}", answer(status, &body)),
        }
    }
    let mut sent = 0;
    for (number, (room, user, text)) in MESSAGES.into_iter().enumerate() {
        let message = json!({ "user": user, "text": text, "id": format!("seed-{number}") });
        let (status, body) = client.post(&format!("/chat/rooms/{room}/messages"), &message).await?;
        if !status.is_success() {
            bail!("send a message to {room}: {}", answer(status, &body));
        }
        let ack: Value = serde_json::from_slice(&body).context("read the answer of chat")?;
        if ack["duplicate"] == json!(false) {
            sent += 1;
        }
    }
    println!(
        "{created} users created ({} were there), {sent} messages sent ({} were there).",
        USERS.len() - created,
        MESSAGES.len() - sent
    );
    Ok(())
}

fn answer(status: StatusCode, body: &[u8]) -> String {
    format!("{status} {}", String::from_utf8_lossy(body).trim().replace('\n', " "))
}
