//! A client that speaks HTTP/2 from its first byte on (prior knowledge), which another engine of the door answers.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::support::LIMIT;

pub struct Http2 {
    pub sender: SendRequest<Full<Bytes>>,
}

impl Http2 {
    pub async fn connect(door: SocketAddr) -> Http2 {
        let stream = TcpStream::connect(door).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Http2 { sender }
    }

    /// The answer as far as it came, and whether it is whole.
    pub async fn ask(&mut self, request: Request<Full<Bytes>>) -> (Response<Vec<u8>>, bool) {
        let asking = async {
            self.sender.ready().await.unwrap();
            let (head, mut body) = self.sender.send_request(request).await.unwrap().into_parts();
            let mut bytes = Vec::new();
            while let Some(frame) = body.frame().await {
                match frame {
                    Ok(frame) => bytes.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
                    Err(_) => return (Response::from_parts(head, bytes), false),
                }
            }
            (Response::from_parts(head, bytes), true)
        };
        tokio::time::timeout(LIMIT, asking).await.expect("an answer in time")
    }

    pub async fn get(&mut self, target: &str) -> (Response<Vec<u8>>, bool) {
        self.ask(Request::get(format!("http://door{target}")).body(Full::default()).unwrap()).await
    }
}
