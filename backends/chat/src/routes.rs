//! The web side of chat, all of it.

use kit::http::{Response, Table, body, created, ok, problem, query};
use warp::Filter;

use crate::replica::Shared;
use crate::upgrade::Handshake;
use crate::{Error, handlers, operations, upgrade};

/// Everything this backend answers.
pub(crate) fn table(replica: Shared) -> Table {
    let body = body(replica.config.body_bytes_max);
    let health = {
        let replica = replica.clone();
        move || {
            let replica = replica.clone();
            async move { replica.health().await }
        }
    };
    let send_message = operations::send_message(&replica.config);
    let mut table = Table::new("chat", operations::SCHEMAS);
    table.schema_mut("ChatText")["maxLength"] = replica.config.text_bytes_max.into();
    let replica = warp::any().map(move || replica.clone());
    let handshake = warp::header::headers_cloned().and(warp::ext::optional()).map(Handshake::new);

    table
        .on(operations::open_socket(), |at| at.and(handshake).and(query()).and(replica.clone()).map(upgrade::upgrade).map(switched))
        .on_each(operations::list_messages(), |at| at.and(query()).and(replica.clone()).then(handlers::list_messages).map(ok))
        .on_each(send_message, |at| at.and(body).and(replica.clone()).then(handlers::send_message).map(created))
        .on(operations::list_rooms(), |at| at.and(query()).and(replica.clone()).then(handlers::list_rooms).map(ok))
        .on(operations::get_chat(), |at| at.and(query()).and(replica).then(handlers::get_chat).map(ok))
        .health(health)
}

fn switched(result: Result<http::Response<()>, Error>) -> Response {
    match result {
        Ok(response) => response.map(|()| Vec::new().into()),
        Err(error) => {
            let is_upgrade_required = matches!(error, Error::UpgradeRequired);
            let mut response = problem(error);
            if is_upgrade_required {
                response.headers_mut().extend(upgrade::required_headers());
            }
            response
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::replica::Replica;
    use crate::store::sqlite::SqliteStore;

    #[tokio::test]
    async fn the_document_tells_what_is_routed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(SqliteStore::open(folder.path()).expect("a store"));
        let bus = Arc::new(kit::bus::InProcess::default());
        let chat = crate::Chat::new(crate::config::testing::config(), "test".to_owned(), store, bus, kit::clock::now);
        let (replica, _work) = Replica::start(chat);
        kit::http::testing::router_and_document_agree(table(replica)).await;
    }
}
