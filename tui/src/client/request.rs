//! One request, one answer, one connection.

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::{Credentials, LARGEST, error::ClientError, transport::Connection};

/// What the gateway said, whatever it was.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// Sends a request and reads the whole answer. When this fails the gateway may have acted all the same.
pub(super) async fn exchange(
    connection: Connection,
    authority: &str,
    credentials: &Credentials,
    path: &str,
    body: Option<Vec<u8>>,
) -> Result<Answered, ClientError> {
    let (mut sender, carrier) =
        http1::handshake(TokioIo::new(connection)).await.map_err(|error| broken(&error))?;
    // Aborted with this function: a connection lives for one request.
    let mut carriers = JoinSet::new();
    carriers.spawn(carrier);
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, authority)
        .header(ACCEPT, "application/json");
    if let Some(bearer) = credentials.bearer() {
        request = request.header(AUTHORIZATION, bearer);
    }
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let request = request
        .body(Full::new(Bytes::from(body.unwrap_or_default())))
        .map_err(|error| ClientError::Broken(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LARGEST).collect().await;
    let body = body.map_err(|error| match error.downcast_ref::<hyper::Error>() {
        Some(error) => broken(error),
        None => ClientError::Garbled(error.to_string()),
    })?;
    Ok(Answered { status, body: body.to_bytes() })
}

fn broken(error: &hyper::Error) -> ClientError {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return ClientError::broken(error);
        }
        cause = error.source();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return ClientError::Closed(" without an answer".to_owned());
    }
    if error.is_parse() {
        let why = "it does not speak HTTP; if it speaks TLS, its address begins with https://";
        return ClientError::Garbled(why.to_owned());
    }
    ClientError::Garbled(error.to_string())
}
