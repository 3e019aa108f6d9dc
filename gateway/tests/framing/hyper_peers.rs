//! The door between a client and a backend that are both made of hyper: bodies of any size in any pieces arrive as they were.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::support::dice::Dice;
use crate::support::{BODY_BYTES_MAX, Door, LIMIT, config};

const CLIENTS: u64 = 4;
const ROUNDS: usize = 40;

/// A body in pieces; with a known length it is counted, without one chunked.
struct Pieces {
    pieces: VecDeque<Bytes>,
    length: Option<u64>,
    /// Whether the next piece comes at once or a moment later.
    is_late: bool,
}

impl Pieces {
    fn of(body: &[u8], dice: &mut Dice) -> Pieces {
        let mut pieces = VecDeque::new();
        let mut rest = body;
        while !rest.is_empty() {
            let most = if dice.one_in(3) { 10 } else { 20_000 };
            let (piece, others) = rest.split_at((dice.below(most) + 1).min(rest.len()));
            pieces.push_back(Bytes::copy_from_slice(piece));
            rest = others;
        }
        let length = dice.one_in(2).then_some(body.len() as u64);
        Pieces { pieces, length, is_late: dice.one_in(2) }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.is_late = !self.is_late;
        if self.is_late {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.length.is_some() && self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A server of hyper that answers every request with `respond`.
pub async fn serve<F, B>(respond: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static) -> SocketAddr
where
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let respond = Arc::new(respond);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let respond = respond.clone();
            let service = service_fn(move |request| {
                let response = respond(request);
                async move { Ok::<_, Infallible>(response.await) }
            });
            let mut builder = hyper::server::conn::http1::Builder::new();
            // A client may say all it has to say and then wait; and nothing here is about time.
            builder.half_close(true).header_read_timeout(None);
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// Sends the body back, each byte inverted, in other pieces.
async fn invert(request: Request<Incoming>) -> Response<Pieces> {
    let seed = request.headers().get("x-seed").map_or(0, |seed| seed.to_str().unwrap().parse().unwrap());
    let is_probe = request.uri().path() == "/readyz";
    let (status, body) = match request.into_body().collect().await {
        Ok(_) if is_probe => (200, br#"{"status":"pass"}"#.to_vec()),
        Ok(body) => (200, body.to_bytes().iter().map(|byte| !byte).collect()),
        Err(_) => (400, Vec::new()),
    };
    let mut response = Response::new(Pieces::of(&body, &mut Dice::with_seed(seed)));
    *response.status_mut() = status.try_into().unwrap();
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_any_size_in_any_pieces_arrive_as_they_were() {
    let seed = Dice::new().seed;
    let backend = serve(invert).await;
    let door = Door::open(config(&[backend], &[backend], &[backend])).await;
    let clients: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(client(door.address, seed + number))).collect();
    for client in clients {
        client.await.unwrap();
    }
}

async fn client(door: SocketAddr, seed: u64) {
    let mut dice = Dice::with_seed(seed);
    let stream = TcpStream::connect(door).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake::<_, Pieces>(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for round in 0..ROUNDS {
        let most = if dice.one_in(2) { 100 } else { BODY_BYTES_MAX + 1 };
        let length = dice.below(most);
        let body = dice.bytes(length);
        let method = dice.pick(&[Method::POST, Method::PUT, Method::PATCH]).clone();
        let request = Request::builder().method(method).uri("/users/1").header("host", "door").header("x-seed", dice.next());
        let request = request.body(Pieces::of(&body, &mut dice)).unwrap();
        // The whole of a conversation on one connection, request by request.
        let exchange = async {
            sender.ready().await.unwrap();
            let response = sender.send_request(request).await.unwrap();
            (response.status(), response.into_body().collect().await.unwrap().to_bytes())
        };
        let (status, back) =
            tokio::time::timeout(LIMIT, exchange).await.unwrap_or_else(|_| panic!("seed {seed}, round {round}: no answer"));
        let is_inverted = back.len() == body.len() && back.iter().zip(&body).all(|(back, sent)| *back == !sent);
        assert!(status == 200 && is_inverted, "seed {seed}, round {round}: {status}, {} bytes for {}", back.len(), body.len());
    }
}
