//! The transport under the Modbus TCP client: it lets through only the one frame that answers the request in flight.
//!
//! The client library would take whatever frame comes next, and after one late reply every later request would get its
//! predecessor's answer. Here each written request is noted by its transaction id; every complete frame with another
//! id is dropped and counted, and so is everything that was already there before the request was sent.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Every read request: 7 bytes of MBAP header, function code, address, count (Modbus Application Protocol V1.1b3, 6.1
/// to 6.4).
const REQUEST_BYTES: usize = 12;

/// The MBAP header up to and with the length field, which counts what follows it.
const PREFIX_BYTES: usize = 6;

/// Unit identifier and function code; less cannot be an answer.
const SHORTEST: usize = 2;

/// Unit identifier and the longest PDU of 253 bytes (Modbus Application Protocol V1.1b3, 4.1).
const LONGEST: usize = 254;

/// So many foreign frames without one answer between them, and the connection is not worth keeping.
pub(super) const FOREIGN_FRAMES_MAX: u32 = 3;

/// Why a connection can no longer be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Broken {
    #[error("the device closed the connection")]
    Closed,
    #[error("the bytes are not Modbus TCP frames")]
    NotModbus,
    #[error("{FOREIGN_FRAMES_MAX} frames in a row answer other requests")]
    Foreign,
}

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> Self {
        Self::other(broken)
    }
}

/// A byte stream that carries complete, matching answers only.
#[derive(Debug)]
pub(super) struct MatchingFrames<T> {
    socket: T,
    /// The request being written, until it is complete.
    request: BytesMut,
    /// Transaction id of the request that waits for its answer.
    awaited: Option<[u8; 2]>,
    /// Bytes from the socket that are not yet a frame.
    incoming: BytesMut,
    /// The answer, on its way to the client.
    answer: BytesMut,
    foreign_in_a_row: u32,
    /// Foreign frames since the connection was made; shared, because the client library owns the transport.
    discarded: Arc<AtomicU64>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> MatchingFrames<T> {
    pub(super) fn new(socket: T, discarded: Arc<AtomicU64>) -> Self {
        Self {
            socket,
            request: BytesMut::with_capacity(REQUEST_BYTES),
            awaited: None,
            incoming: BytesMut::new(),
            answer: BytesMut::new(),
            foreign_in_a_row: 0,
            discarded,
        }
    }

    /// Waits for bytes and sorts the frames that they complete.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [0_u8; 512];
        let mut chunk = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut chunk))?;
        if chunk.filled().is_empty() {
            return Poll::Ready(Err(Broken::Closed.into()));
        }
        self.incoming.extend_from_slice(chunk.filled());
        Poll::Ready(self.sort_frames().map_err(io::Error::from))
    }

    /// Goes up to the answer. What follows that is looked at before the next request.
    fn sort_frames(&mut self) -> Result<(), Broken> {
        while self.answer.is_empty()
            && let Some(&[id_high, id_low, protocol_high, protocol_low, length_high, length_low]) =
                self.incoming.first_chunk::<PREFIX_BYTES>()
        {
            let length = usize::from(u16::from_be_bytes([length_high, length_low]));
            if [protocol_high, protocol_low] != [0, 0] || !(SHORTEST..=LONGEST).contains(&length) {
                return Err(Broken::NotModbus);
            }
            if self.incoming.len() < PREFIX_BYTES + length {
                break;
            }
            let frame = self.incoming.split_to(PREFIX_BYTES + length);
            if self.awaited == Some([id_high, id_low]) {
                self.awaited = None;
                self.foreign_in_a_row = 0;
                self.answer = frame;
            } else {
                self.discarded.fetch_add(1, Ordering::Relaxed);
                self.foreign_in_a_row += 1;
                if self.foreign_in_a_row >= FOREIGN_FRAMES_MAX {
                    return Err(Broken::Foreign);
                }
            }
        }
        Ok(())
    }

    /// Throws away what lies there before a request is sent: none of it can be the answer.
    fn forget_earlier_answers(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.awaited = None;
        self.answer.clear();
        self.sort_frames()?;
        while let Poll::Ready(received) = self.poll_receive(cx) {
            received?;
        }
        Ok(())
    }

    fn note_written(&mut self, written: &[u8]) {
        for &byte in written {
            self.request.extend_from_slice(&[byte]);
            if self.request.len() == REQUEST_BYTES {
                self.awaited = self.request.first_chunk::<2>().copied();
                self.request.clear();
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for MatchingFrames<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.answer.is_empty() {
            ready!(self.poll_receive(cx))?;
        }
        let part = self.answer.len().min(out.remaining());
        out.put_slice(&self.answer.split_to(part));
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for MatchingFrames<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.request.is_empty() {
            self.forget_earlier_answers(cx)?;
        }
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes))?;
        self.note_written(bytes.get(..written).unwrap_or(bytes));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
