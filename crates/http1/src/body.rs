//! Message bodies of any kind: how they fail, and how to read one whole.

use crate::Malformed;
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// An error of a body, from any layer.
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

/// The reason a body could not be read whole.
#[derive(Debug)]
pub enum ReadError<E> {
    /// The body itself failed.
    Body(E),
    /// The body is larger than this many bytes.
    TooLarge(usize),
    /// The body did not end in time.
    Stalled,
}

impl<E: fmt::Display> fmt::Display for ReadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(error) => error.fmt(f),
            Self::TooLarge(limit) => write!(f, "the body is larger than {limit} bytes"),
            Self::Stalled => Broken::Stalled.fmt(f),
        }
    }
}

impl<E: Into<BoxError>> From<ReadError<E>> for BoxError {
    fn from(error: ReadError<E>) -> Self {
        match error {
            ReadError::Body(error) => error.into(),
            ReadError::TooLarge(limit) => format!("the body is larger than {limit} bytes").into(),
            ReadError::Stalled => Broken::Stalled.into(),
        }
    }
}

/// The reason [`read_within`] returned no body.
#[derive(Debug)]
pub enum Unread<E, R> {
    /// The body could not be read.
    Failed(ReadError<E>),
    /// The memory for it was refused.
    Refused(R),
}

/// Reads a body of at most `limit` bytes, within `patience`.
///
/// # Errors
/// When it breaks off, takes too long or is larger.
pub async fn read_whole<B>(body: B, limit: usize, patience: Duration) -> Result<Bytes, ReadError<B::Error>>
where
    B: Body<Data = Bytes> + Unpin,
{
    let unlimited = |_| Ok::<(), Infallible>(());
    read_within(body, limit, patience, unlimited).await.map_err(|unread| match unread {
        Unread::Failed(error) => error,
        Unread::Refused(never) => match never {},
    })
}

/// Reads a body like [`read_whole`], and calls `reserve` with the total number of bytes before it takes more memory.
///
/// # Errors
/// When it breaks off, takes too long or is larger, or when `reserve` refuses.
pub async fn read_within<B, R>(
    mut body: B,
    limit: usize,
    patience: Duration,
    mut reserve: impl FnMut(usize) -> Result<(), R>,
) -> Result<Bytes, Unread<B::Error, R>>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut read = BytesMut::new();
    let reading = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Unread::Failed(ReadError::Body(error)))?;
            let data = frame.into_data().unwrap_or_default();
            let length = read.len() + data.len();
            if length > limit {
                return Err(Unread::Failed(ReadError::TooLarge(limit)));
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
    tokio::time::timeout(patience, reading).await.map_err(|_| Unread::Failed(ReadError::Stalled))??;
    Ok(read.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    const PATIENCE: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn reads_bodies_up_to_the_limit() {
        let body = || Full::new(Bytes::from_static(b"abc"));
        assert_eq!(read_whole(body(), 3, PATIENCE).await.unwrap(), "abc");
        assert!(matches!(read_whole(body(), 2, PATIENCE).await, Err(ReadError::TooLarge(2))));
        let refused = read_within(body(), 3, PATIENCE, Err).await;
        assert!(matches!(refused, Err(Unread::Refused(3))), "{refused:?}");
    }
}
