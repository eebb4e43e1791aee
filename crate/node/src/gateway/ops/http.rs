//! A small HTTP server for those who operate the gateway: it answers GET, one request a connection.
//!
//! Meant for the machine itself or a private network. What the pages say is up to others.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use nimiq_utils::spawn;
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::timeout,
};

/// Connections at once; others wait.
const MAX_CONNECTIONS: usize = 32;
/// Time for one request, from the connection to the last byte of the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that are read of a request's head at most; hyper takes no less.
const MAX_HEAD: usize = 8192;
/// Pause after the system couldn't give us a connection, as when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The port can't be had.
#[derive(Debug, Error)]
#[error("can't listen on {address}: {source}")]
pub struct HttpError {
    /// Where to listen.
    pub address: SocketAddr,
    /// What the system said.
    pub source: std::io::Error,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// HTTP status.
    pub status: u16,
    /// MIME type.
    pub content_type: &'static str,
    /// The content.
    pub body: String,
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    _running: watch::Sender<()>,
}

impl HttpServer {
    /// Listens, and answers with what `pages` has for a path, without the query; 404 if it has nothing.
    ///
    /// # Errors
    /// If the port can't be had.
    pub async fn start(
        address: SocketAddr,
        pages: impl Fn(&str) -> Option<Page> + Send + Sync + 'static,
    ) -> Result<Self, HttpError> {
        let failed = |source| HttpError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (running, ended) = watch::channel(());
        spawn(accept(listener, Arc::new(pages), ended));
        Ok(Self {
            address,
            _running: running,
        })
    }

    /// Where it listens, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(
    listener: TcpListener,
    pages: Arc<impl Fn(&str) -> Option<Page> + Send + Sync + 'static>,
    mut ended: watch::Receiver<()>,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // It is never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            // Nothing is ever sent: it changes only by ending.
            _ = ended.changed() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let pages = Arc::clone(&pages);
                let mut ended = ended.clone();
                spawn(async move {
                    tokio::select! {
                        _ = ended.changed() => {}
                        _ = timeout(REQUEST_TIMEOUT, converse(stream, &*pages)) => {}
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                log::debug!("No connection over HTTP: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers one request. Whoever asked for it may be gone, which is no news.
async fn converse(stream: TcpStream, pages: &(impl Fn(&str) -> Option<Page> + Sync)) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(request.method(), request.uri().path(), pages);
        async move { Ok::<_, Infallible>(response) }
    });
    drop(
        http1::Builder::new()
            .keep_alive(false)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

fn respond(
    method: &Method,
    path: &str,
    pages: &impl Fn(&str) -> Option<Page>,
) -> Response<Full<Bytes>> {
    let plain = |status: StatusCode, text: &str| Page {
        status: status.as_u16(),
        content_type: "text/plain; charset=utf-8",
        body: format!("{text}\n"),
    };
    let readable = method == Method::GET || method == Method::HEAD;
    let page = if readable {
        pages(path).unwrap_or_else(|| {
            plain(
                StatusCode::NOT_FOUND,
                "There are /metrics and /health here.",
            )
        })
    } else {
        plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD.")
    };
    let mut response = Response::new(Full::new(Bytes::from(page.body)));
    *response.status_mut() =
        StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(page.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !readable {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn server() -> HttpServer {
        let pages = |path: &str| {
            (path == "/page").then(|| Page {
                status: 503,
                content_type: "application/json",
                body: "{}".to_owned(),
            })
        };
        let any = "127.0.0.1:0".parse().unwrap();
        HttpServer::start(any, pages).await.unwrap()
    }

    async fn ask(server: &HttpServer, request: &str) -> String {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn it_answers_with_its_pages_and_with_nothing_else() {
        let server = server().await;
        let page = ask(&server, "GET /page?x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(page.starts_with("HTTP/1.1 503 "), "{page}");
        assert!(page.contains("content-type: application/json"), "{page}");
        assert!(page.ends_with("\r\n\r\n{}"), "{page}");
        let head = ask(&server, "HEAD /page HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        for (request, status) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
            ("GET /page/ HTTP/1.0\r\n\r\n", "404"),
            (
                "POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
                "405",
            ),
            ("nonsense\r\n\r\n", "400"),
        ] {
            let answer = ask(&server, request).await;
            assert!(answer.contains(status), "{request:?}: {answer}");
        }
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(2 * MAX_HEAD));
        let answer = ask(&server, &long).await;
        assert!(
            answer.contains(" 414 ") || answer.contains(" 431 "),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn dropping_it_gives_the_port_back() {
        let server = server().await;
        let address = server.address();
        let idle = TcpStream::connect(address).await.unwrap();
        let busy = HttpServer::start(address, |_| None).await;
        assert!(busy.unwrap_err().to_string().contains(&address.to_string()));
        drop(server);
        // It has noticed once the connection is closed.
        let mut idle = idle;
        assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0);
        let again = async {
            while HttpServer::start(address, |_| None).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(30), again).await.unwrap();
    }
}
