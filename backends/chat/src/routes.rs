//! The web side of chat, all of it.

use kit::http::{Response, any_of, body, created, health_routes, method_not_allowed, ok, problem, query, route};
use warp::Filter;
use warp::filters::BoxedFilter;

use crate::replica::Shared;
use crate::upgrade::Handshake;
use crate::{Error, handlers, upgrade};

/// Everything this backend answers.
pub(crate) fn routes(replica: Shared) -> BoxedFilter<(Response,)> {
    let body = body(replica.config.body_bytes_max);
    let health = {
        let replica = replica.clone();
        move || {
            let replica = replica.clone();
            async move { replica.health().await }
        }
    };
    let replica = warp::any().map(move || replica.clone());
    let chat = warp::path!("chat");
    let rooms = warp::path!("chat" / "rooms");
    let messages = warp::path!("chat" / "rooms" / String / "messages");
    let ws = warp::path!("ws");
    let handshake = warp::header::headers_cloned().and(warp::ext::optional()).map(Handshake::new);

    let get = chat.and(warp::get()).and(query()).and(replica.clone()).then(handlers::get_chat).map(ok);
    let list_rooms = rooms.and(warp::get()).and(query()).and(replica.clone()).then(handlers::list_rooms).map(ok);
    let list = messages.and(warp::get()).and(query()).and(replica.clone()).then(handlers::list_messages).map(ok);
    let send = messages.and(warp::post()).and(body).and(replica.clone()).then(handlers::send_message).map(created);
    let socket = ws.and(warp::get()).and(handshake).and(query()).and(replica).map(upgrade::upgrade).map(switched);

    let mut routes = vec![
        route("GET /ws", socket),
        method_not_allowed(ws, "GET"),
        route("GET /chat/rooms/{room}/messages", list),
        route("POST /chat/rooms/{room}/messages", send),
        method_not_allowed(messages.map(|_| ()).untuple_one(), "GET, HEAD, POST"),
        route("GET /chat/rooms", list_rooms),
        method_not_allowed(rooms, "GET, HEAD"),
        route("GET /chat", get),
        method_not_allowed(chat, "GET, HEAD"),
    ];
    routes.extend(health_routes(health));
    any_of(routes)
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
