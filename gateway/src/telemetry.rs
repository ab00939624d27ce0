//! The port for whoever watches the gateway: `/metrics`, `/livez` and `/readyz` over plain HTTP/1.1, one request a connection.
//!
//! It is open before the store is, so that a long start can be told from a dead process. It changes nothing.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::clock::{SystemTimeSource, TimeSource as _};
use crate::health::Facts;
use crate::limits::{PAGE_TIMEOUT, PAGES_MAX};
use crate::shared::Shared;

/// The open port. Dropping it closes it.
pub struct Port {
    /// Where it is, when the configuration wants one.
    pub address: Option<SocketAddr>,
    pages: Pages,
    serving: Option<JoinHandle<()>>,
}

/// What the pages are made from, once there is something.
#[derive(Clone, Default)]
struct Pages(Arc<OnceLock<Arc<Shared>>>);

impl Port {
    /// Binds the port and answers on it.
    ///
    /// # Errors
    /// The system's, when the address cannot be had.
    pub async fn open(address: Option<SocketAddr>) -> std::io::Result<Self> {
        let pages = Pages::default();
        let Some(address) = address else { return Ok(Self { address: None, pages, serving: None }) };
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(serve(listener, pages.clone()));
        Ok(Self { address: Some(address), pages, serving: Some(serving) })
    }

    /// From now on there is a gateway to speak of.
    pub fn watch(&self, shared: &Arc<Shared>) {
        // A second gateway is never shown the same port.
        let _ = self.pages.0.set(shared.clone());
    }

    /// Closes the port.
    pub async fn close(mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // It ends by being aborted.
            let _ = serving.await;
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

async fn serve(listener: TcpListener, pages: Pages) {
    let room = Arc::new(Semaphore::new(PAGES_MAX));
    loop {
        // Whoever comes when all places are taken waits in the kernel's queue; each place is free again after a time.
        let Ok(place) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let pages = pages.clone();
                tokio::spawn(async move {
                    if tokio::time::timeout(PAGE_TIMEOUT, answer(stream, pages)).await.is_err() {
                        tracing::debug!("a page took too long");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::error!(%error, "accept failed on the metrics port");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, pages: Pages) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (status, kind, text) = pages.page(request.method(), request.uri().path());
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a page was not fetched");
    }
}

impl Pages {
    fn page(&self, method: &Method, path: &str) -> (StatusCode, &'static str, String) {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return (StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".to_owned());
        }
        let now = SystemTimeSource::default().wall();
        let Some(shared) = self.0.get() else {
            return match path {
                "/livez" => (StatusCode::OK, TEXT, "alive\n".to_owned()),
                "/readyz" | "/metrics" => (StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready: the store is being opened\n".to_owned()),
                _ => (StatusCode::NOT_FOUND, TEXT, PATHS.to_owned()),
            };
        };
        match path {
            "/metrics" => (StatusCode::OK, OPEN_METRICS, shared.metrics.page(shared, now)),
            "/livez" => match Facts::of(shared, now).dead() {
                None => (StatusCode::OK, TEXT, "alive\n".to_owned()),
                Some(reason) => (StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("dead: {reason}\n")),
            },
            "/readyz" => {
                let reasons = Facts::of(shared, now).not_ready();
                if reasons.is_empty() {
                    return (StatusCode::OK, TEXT, "ready\n".to_owned());
                }
                let lines = reasons.iter().map(|reason| format!("not ready: {reason}\n"));
                (StatusCode::SERVICE_UNAVAILABLE, TEXT, lines.collect())
            }
            _ => (StatusCode::NOT_FOUND, TEXT, PATHS.to_owned()),
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PATHS: &str = "/metrics, /livez and /readyz are here\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_store_is_open_the_process_lives_and_is_not_ready() {
        let pages = Pages::default();
        for (method, path, status, text) in [
            (Method::GET, "/livez", 200, "alive\n"),
            (Method::HEAD, "/livez", 200, "alive\n"),
            (Method::GET, "/readyz", 503, "not ready: the store is being opened\n"),
            (Method::GET, "/metrics", 503, "not ready: the store is being opened\n"),
            (Method::GET, "/", 404, PATHS),
            (Method::GET, "/metrics/", 404, PATHS),
            (Method::POST, "/livez", 405, "only GET\n"),
        ] {
            let (found, kind, said) = pages.page(&method, path);
            assert_eq!((found.as_u16(), kind, said.as_str()), (status, TEXT, text), "{method} {path}");
        }
    }
}
