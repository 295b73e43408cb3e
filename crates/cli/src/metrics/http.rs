//! As much HTTP as a scrape takes: one request a connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// What a request may take, with everything that a browser adds.
const LONGEST: usize = 8 << 10;
/// How long a scrape may take.
const WITHIN: Duration = Duration::from_secs(10);
/// How many are served at a time; others wait.
const AT_A_TIME: usize = 8;
/// How long to wait when the system has no connection to give.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers whoever asks, for as long as the program runs.
pub(super) async fn serve(listener: TcpListener, metrics: PrometheusHandle) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, from)) => {
                let metrics = metrics.clone();
                tokio::spawn(async move {
                    if let Ok(Err(error)) = timeout(WITHIN, answer(stream, &metrics)).await {
                        tracing::debug!(%from, %error, "a scrape failed");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "no scrape can be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, metrics: &PrometheusHandle) -> io::Result<()> {
    let request = read(&mut stream).await?;
    let (status, content_type, body) = match target(&request) {
        Some("/metrics") => (
            "200 OK",
            "text/plain; version=0.0.4; charset=utf-8",
            metrics.render(),
        ),
        Some(_) => (
            "404 Not Found",
            "text/plain",
            "only /metrics is here\n".to_owned(),
        ),
        None => (
            "400 Bad Request",
            "text/plain",
            "only GET is understood\n".to_owned(),
        ),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// Reads the head of a request, as far as it may be long.
async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut limited = stream.take(LONGEST as u64);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if limited.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    Ok(head)
}

/// The path that is asked for, without its query; `None` if that is no GET.
fn target(request: &[u8]) -> Option<&str> {
    let line = request.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let is_http = words.next().is_some_and(|it| it.starts_with("HTTP/1."));
    (method == "GET" && is_http).then(|| target.split('?').next().unwrap_or(target))
}

#[cfg(test)]
mod tests;
