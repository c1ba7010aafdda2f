//! One write request, and what its answer means.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use influxdb2::{ClientBuilder, RequestError, api::write::TimestampPrecision};
use reqwest::{
    Certificate, StatusCode, Url,
    header::{CONTENT_ENCODING, HeaderMap, HeaderValue},
    redirect,
};

use super::{Config, StartError};

/// Of the server's words, no more than this is kept: they are shown.
const WORDS_MAX: usize = 300;

/// Sends bodies to one bucket.
pub(super) struct Client {
    inner: influxdb2::Client,
    org: String,
    bucket: String,
    token: String,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Taken,
    /// Something in the body is not to the server's liking; repeating it changes nothing.
    Refused {
        words: String,
        /// Everything else in it was taken, but for so many lines.
        dropped: Option<usize>,
        /// The answer has the form of the API. A web server that is no database also says 400.
        by_the_api: bool,
    },
    TooLarge {
        words: String,
    },
    /// The settings are wrong here or there: a person must act, and trying again soon is of no use.
    Denied {
        words: String,
    },
    /// It may work later.
    Later {
        words: String,
    },
}

impl Client {
    /// # Errors
    /// When the URL is none, or has a path, or the certificate cannot be read.
    pub(super) fn new(
        config: &Config,
        connect: Duration,
        total: Duration,
    ) -> Result<Self, StartError> {
        let url = Url::parse(&config.url).map_err(|_| StartError::Url)?;
        if !matches!(url.scheme(), "http" | "https") || !matches!(url.path(), "" | "/") {
            return Err(StartError::Url);
        }
        let mut headers = HeaderMap::new();
        // The client compresses by itself only what it puts into lines by itself, and that at the slowest level.
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        // Where the file says and nowhere else: no redirect, and no proxy of the environment.
        let mut builder = reqwest::ClientBuilder::new()
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(connect)
            .timeout(total)
            .default_headers(headers);
        if let Some(path) = &config.ca {
            let pem = std::fs::read(path)
                .map_err(|source| StartError::Authority { path: path.clone(), source })?;
            let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if found.is_empty() {
                return Err(StartError::NoCertificate { path: path.clone() });
            }
            builder = found.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        }
        let inner = ClientBuilder::with_builder(builder, url, &config.org, &config.token)
            .build()
            .map_err(|error| StartError::Client(error.to_string()))?;
        let (org, bucket) = (config.org.clone(), config.bucket.clone());
        Ok(Self { inner, org, bucket, token: config.token.clone() })
    }

    /// Sends lines that were put through [`pack`].
    pub(super) async fn write(&self, packed: Vec<u8>) -> Answer {
        let precision = TimestampPrecision::Milliseconds;
        let sent = self
            .inner
            .write_line_protocol_with_precision(&self.org, &self.bucket, packed, precision)
            .await;
        match sent {
            Ok(()) => Answer::Taken,
            // The client takes 204 alone for a success.
            Err(RequestError::Http { status, .. }) if status.is_success() => Answer::Taken,
            Err(RequestError::Http { status, text }) => self.answer(status, &text),
            Err(RequestError::ReqwestProcessing { source }) => {
                Answer::Later { words: self.clean(&connection_words(&source)) }
            }
            Err(error) => Answer::Later { words: self.clean(&error.to_string()) },
        }
    }

    fn answer(&self, status: StatusCode, body: &str) -> Answer {
        let message = message(body);
        let by_the_api = message.is_some();
        let words = format!("{status}: {}", message.as_deref().unwrap_or(body).trim());
        let words = self.clean(words.trim_end_matches([':', ' ']));
        match status.as_u16() {
            400 | 422 => {
                let dropped = message.as_deref().and_then(dropped);
                Answer::Refused { words, dropped, by_the_api }
            }
            413 => Answer::TooLarge { words },
            408 | 425 | 429 | 500..=599 => Answer::Later { words },
            _ => Answer::Denied { words },
        }
    }

    /// On one line, of bounded length, and without the token, which a proxy may send back to us.
    fn clean(&self, words: &str) -> String {
        let words = if self.token.is_empty() {
            words.to_owned()
        } else {
            words.replace(&self.token, "***")
        };
        let mut line = words.split_whitespace().collect::<Vec<_>>().join(" ");
        line.retain(|letter| !letter.is_control());
        if line.len() > WORDS_MAX {
            line.truncate(line.floor_char_boundary(WORDS_MAX));
            line.push('…');
        }
        line
    }
}

/// What the API says in an error: `{"code":"invalid","message":"…"}`; older and newer servers say `error`.
fn message(body: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(body).ok()?;
    let said = value.get("message").or_else(|| value.get("error"))?;
    said.as_str().map(str::to_owned)
}

/// How many lines a partial write left out: `partial write: … dropped=2`. Who does not say it left out one at least.
fn dropped(message: &str) -> Option<usize> {
    if !message.contains("partial write") {
        return None;
    }
    let count = message.rsplit_once("dropped=").map(|(_, rest)| rest);
    let digits = count.map(|rest| rest.split(|letter: char| !letter.is_ascii_digit()).next());
    Some(digits.flatten().and_then(|digits| digits.parse().ok()).unwrap_or(1).max(1))
}

fn connection_words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    // The innermost cause says what happened; those around it name the request.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_connect() {
        format!("not connected: {cause}")
    } else {
        format!("no answer: {cause}")
    }
}

/// Compresses at the level that costs least.
pub(super) fn pack(lines: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(lines.len() / 8), Compression::fast());
    // A vector takes every byte.
    let _ = encoder.write_all(lines);
    encoder.finish().unwrap_or_default()
}
