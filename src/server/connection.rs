//! One client's connection.

use crate::body::StallTimer;
use crate::client::Client;
use crate::limits::Limits;
use crate::proxy::Proxy;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;

/// What a connection may buffer of what a client sends ahead.
const MAX_BUFFER: usize = 64 * 1024;
/// Longest head of a request, in bytes; MinIO takes 8 KiB of headers.
const MAX_HEAD: usize = 32 * 1024;
/// Most headers of a request.
const MAX_HEADERS: usize = 100;

/// An accepted connection.
pub(super) enum Peer {
    Tcp(TcpStream, IpAddr),
    Unix(UnixStream),
}

impl Peer {
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(_, address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

/// The limits of a connection.
#[derive(Clone, Copy)]
pub(super) struct Limited {
    header: Duration,
    stall: Duration,
}

impl Limited {
    pub(super) fn of(limits: &Limits) -> Self {
        Self { header: limits.header_timeout, stall: limits.stall_timeout }
    }
}

/// Serves a connection to its end; when the server stops, to the end of the request that runs.
pub(super) async fn serve(
    peer: Peer,
    client: Client,
    proxy: Rc<Proxy<Incoming>>,
    limits: Limited,
    stopping: watch::Receiver<bool>,
) {
    match peer {
        Peer::Tcp(stream, _) => serve_stream(stream, client, proxy, limits, stopping).await,
        Peer::Unix(stream) => serve_stream(stream, client, proxy, limits, stopping).await,
    }
}

async fn serve_stream<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    client: Client,
    proxy: Rc<Proxy<Incoming>>,
    limits: Limited,
    mut stopping: watch::Receiver<bool>,
) {
    let service = service_fn(|request| {
        let proxy = Rc::clone(&proxy);
        async move { Ok::<_, Infallible>(proxy.handle(client, request).await) }
    });
    let stream = TokioIo::new(NoSlowReader { stream, stall: StallTimer::new(limits.stall) });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header)
            .max_buf_size(MAX_BUFFER)
            .max_header_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .serve_connection(stream, service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopping.wait_for(|stop| *stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%client, %error, "connection ended");
    }
}

/// A stream whose writes fail when the peer takes nothing for too long.
struct NoSlowReader<S> {
    stream: S,
    stall: StallTimer,
}

impl<S: AsyncWrite + Unpin> NoSlowReader<S> {
    fn watch<T>(&mut self, polled: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match polled {
            Poll::Pending if self.stall.poll_stalled(cx) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
            Poll::Ready(done) => {
                self.stall.progress();
                Poll::Ready(done)
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for NoSlowReader<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for NoSlowReader<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, data);
        self.watch(polled, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, data);
        self.watch(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
