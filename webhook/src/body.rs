//! Reads a request's body, within a deadline and a limit on the bytes of all bodies.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Request, StatusCode};
use fluxkeep::admission::LONGEST_BODY;
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::limit::{Handle, Hold, Limit, Permit};

/// Bytes counted per request beside its body: an estimate of its task and buffers.
const OVERHEAD: usize = 8 << 10;

/// Most bodies are shorter. A longer body gets memory block by block as it arrives, whatever length
/// it announces. Growing a single buffer would leave as much freed memory behind at each move.
const BLOCK: usize = 256 << 10;

/// The longest body that is read to its end. The apiserver sends a new object of 3 MiB and a stored
/// one of 1.5 MiB, with six bytes for each at most.
const LONGEST_READ: usize = 32 << 20;

/// A body. Its bytes count in the lane's sum until the value is dropped.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    /// True if the body was longer than may be judged. The bytes are its begin, with the envelope.
    pub(crate) is_cut: bool,
    _hold: Hold,
    _share: Permit,
}

/// The reason why a request gets no review in return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    TooLong,
    TooSlow,
    Broken,
    /// The bodies of this lane already use all permitted memory.
    NoRoom,
    /// The queue of long reviews in this lane is full.
    LongQueue,
}

impl TurnedAway {
    /// All reasons.
    pub(crate) const ALL: [Self; 5] = [
        Self::TooLong,
        Self::TooSlow,
        Self::Broken,
        Self::NoRoom,
        Self::LongQueue,
    ];

    /// The reason's name in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            Self::TooSlow => "too-slow",
            Self::Broken => "broken",
            Self::NoRoom => "no-room",
            Self::LongQueue => "long-queue",
        }
    }

    /// The HTTP status and the text of the answer.
    pub(crate) fn explained(self) -> (StatusCode, String) {
        let (status, reason) = match self {
            Self::TooLong => (
                StatusCode::PAYLOAD_TOO_LARGE,
                &*format!("the review is longer than {LONGEST_BODY} bytes"),
            ),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive in time",
            ),
            Self::Broken => (
                StatusCode::BAD_REQUEST,
                "the connection ended before the body",
            ),
            Self::NoRoom => (
                StatusCode::TOO_MANY_REQUESTS,
                "the memory limit for reviews is reached; try again",
            ),
            Self::LongQueue => (
                StatusCode::TOO_MANY_REQUESTS,
                "the queue of large reviews is full; try again",
            ),
        };
        (status, reason.to_owned())
    }
}

/// Reads the whole body, and keeps it up to the bound. If the sum of all bodies reaches its cap, the oldest
/// incomplete body is cancelled.
pub(crate) async fn read(
    request: Request<Body>,
    sum: &Limit,
    deadline: Duration,
) -> Result<Received, TurnedAway> {
    let announced = announced(&request);
    if announced > LONGEST_READ {
        return Err(TurnedAway::TooLong);
    }
    let mut share = sum.enter(OVERHEAD).ok_or(TurnedAway::NoRoom)?;
    let handle = share.handle();
    let (bytes, is_cut) = tokio::select! {
        read = timeout(deadline, filled(request.into_body(), announced, &handle)) => {
            read.unwrap_or(Err(TurnedAway::TooSlow))?
        }
        () = share.over() => return Err(TurnedAway::NoRoom),
    };
    let hold = handle.hold().ok_or(TurnedAway::NoRoom)?;
    Ok(Received {
        bytes,
        is_cut,
        _hold: hold,
        _share: share,
    })
}

/// The length in the `Content-Length` header; 0 without a valid header.
fn announced(request: &Request<Body>) -> usize {
    request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or_default()
}

/// The body's bytes, and true if these are only the begin of a body over the bound.
async fn filled(
    mut body: Body,
    announced: usize,
    share: &Handle,
) -> Result<(Vec<u8>, bool), TurnedAway> {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| TurnedAway::Broken)?.into_data() else {
            continue;
        };
        length += data.len();
        if length > LONGEST_READ {
            return Err(TurnedAway::TooLong);
        }
        if length > LONGEST_BODY {
            // The rest is read and dropped, so that the client reads the answer.
            blocks.truncate(1);
            continue;
        }
        if !share.grow(data.len()) {
            return Err(TurnedAway::NoRoom);
        }
        match blocks.last_mut() {
            Some(block) if block.capacity() - block.len() >= data.len() => {
                block.extend_from_slice(&data);
            }
            _ => {
                let wanted = if announced > 0 {
                    announced.min(BLOCK)
                } else {
                    BLOCK
                };
                let mut block = Vec::with_capacity(wanted.max(data.len()));
                block.extend_from_slice(&data);
                blocks.push(block);
            }
        }
    }
    let bytes = match blocks.pop() {
        Some(block) if blocks.is_empty() => block,
        Some(last) => {
            blocks.push(last);
            blocks.concat()
        }
        None => Vec::new(),
    };
    Ok((bytes, length > LONGEST_BODY))
}
