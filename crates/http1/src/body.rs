//! Message bodies, whatever carries them: how they fail, and how to read one whole.

use crate::Malformed;
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// An error of a body, from whichever layer produces it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The reason a body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Nothing arrived for too long, or too little.
    Stalled,
    /// The connection ended before the body did.
    Short,
    /// The framing is invalid.
    Malformed(Malformed),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stalled => f.write_str("the body stood still for too long"),
            Self::Short => f.write_str("the connection ended before the body did"),
            Self::Malformed(malformed) => malformed.fmt(f),
        }
    }
}

impl Error for Broken {}

/// The reason a body was not read whole.
#[derive(Debug)]
pub enum Unread<E> {
    /// The body broke off, took too long or was too large.
    Broken(BoxError),
    /// There was no memory for it.
    Refused(E),
}

/// Reads a body of at most `limit` bytes, within `patience`.
///
/// # Errors
/// When it breaks off, takes too long or is larger.
pub async fn read_whole<B>(body: B, limit: usize, patience: Duration) -> Result<Bytes, BoxError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    let unlimited = |_| Ok::<(), std::convert::Infallible>(());
    read_within(body, limit, patience, unlimited).await.map_err(|unread| match unread {
        Unread::Broken(error) => error,
        Unread::Refused(never) => match never {},
    })
}

/// Reads a body like [`read_whole`], and asks `reserve` before it takes more memory. `reserve` gets the number of bytes held
/// in all.
///
/// # Errors
/// When it breaks off, takes too long or is larger, or when `reserve` refuses.
pub async fn read_within<B, E>(
    mut body: B,
    limit: usize,
    patience: Duration,
    mut reserve: impl FnMut(usize) -> Result<(), E>,
) -> Result<Bytes, Unread<E>>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    let mut read = BytesMut::new();
    let reading = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Unread::Broken(error.into()))?;
            let data = frame.into_data().unwrap_or_default();
            let length = read.len() + data.len();
            if length > limit {
                return Err(Unread::Broken(format!("the body is larger than {limit} bytes").into()));
            }
            if length > read.capacity() {
                let capacity = length.next_power_of_two().min(limit);
                reserve(capacity).map_err(Unread::Refused)?;
                read.reserve(capacity - read.len());
            }
            read.extend_from_slice(&data);
        }
        Ok(())
    };
    tokio::time::timeout(patience, reading).await.map_err(|_| Unread::Broken(Broken::Stalled.into()))??;
    Ok(read.freeze())
}
