//! Connections for WebSockets that give their first bytes a moment late, so that pingora does not lose the socket.
//!
//! In pingora-proxy 0.9.1, a replica that answers 101 faster than pingora tells its own upstream half "the request has no
//! body" ends the tunnel at once: that message, read after the upgrade, counts as the client having closed. Against replicas
//! on the same machine a few sockets in a hundred died like this under load. Here the first looks for an answer find nothing
//! yet, whatever has arrived; then the message always comes first. Nothing waits for a clock: each look asks to be repeated
//! at once. To be removed when pingora orders the two itself.

use std::io::{ErrorKind, Result as IoResult};
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora_core::connectors::L4Connect;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora_core::{Error, ErrorType, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// One would do; the second covers a first turn in which the sender had used up its share of the scheduler.
const LATE_LOOKS: u8 = 2;

/// Connects to a replica for a socket.
#[derive(Debug)]
pub(super) struct LateConnect;

#[async_trait]
impl L4Connect for LateConnect {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let Some(address) = address.as_inet() else {
            return Error::e_explain(ErrorType::ConnectError, "not an internet address");
        };
        let connected = TcpStream::connect(address).await;
        let stream = connected.map_err(|error| Error::because(kind(&error), "connect", error))?;
        let late = LateStream { stream, looks_left: LATE_LOOKS };
        Ok(VirtualSocketStream::new(Box::new(late)).into())
    }
}

fn kind(error: &std::io::Error) -> ErrorType {
    match error.kind() {
        ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
        ErrorKind::TimedOut => ErrorType::ConnectTimedout,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => ErrorType::ConnectNoRoute,
        ErrorKind::AddrNotAvailable => ErrorType::BindError,
        // ENFILE, EMFILE: out of descriptors is our trouble, not the replica's.
        _ if error.raw_os_error().is_some_and(|code| matches!(code, 23 | 24)) => ErrorType::SocketError,
        _ => ErrorType::ConnectError,
    }
}

#[derive(Debug)]
struct LateStream {
    stream: TcpStream,
    looks_left: u8,
}

impl VirtualSocket for LateStream {
    fn set_socket_option(&self, option: VirtualSockOpt) -> IoResult<()> {
        match option {
            VirtualSockOpt::NoDelay => self.stream.set_nodelay(true),
            // Keep-alive: no peer of ours asks for it, sockets have pings of their own.
            _ => Ok(()),
        }
    }
}

impl AsyncRead for LateStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<IoResult<()>> {
        if self.looks_left > 0 {
            self.looks_left -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for LateStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<IoResult<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<IoResult<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<IoResult<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
