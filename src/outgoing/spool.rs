//! Temporary files for bodies that do not fit into memory, bounded over all threads.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, ReadBuf, Take};

/// The size of all files together, in bytes.
static USED: AtomicU64 = AtomicU64::new(0);

/// An unnamed temporary file, which the kernel deletes with the process. Its bytes count until it is dropped.
#[derive(Debug)]
pub(crate) struct SpoolFile {
    file: File,
    bytes: u64,
    limit: u64,
}

impl SpoolFile {
    /// Creates an empty file in `TMPDIR`. All files together may have `limit` bytes.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub(crate) async fn create(limit: u64) -> io::Result<Self> {
        let file = tokio::task::spawn_blocking(tempfile::tempfile).await.map_err(io::Error::other)??;
        Ok(Self { file: File::from_std(file), bytes: 0, limit })
    }

    /// Returns the number of bytes written.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends a piece. After an error the previous pieces can still be read.
    ///
    /// # Errors
    /// When there is no room for it.
    pub(crate) async fn append(&mut self, piece: &[u8]) -> io::Result<()> {
        let room = Room::take(piece.len() as u64, self.limit).ok_or(io::ErrorKind::StorageFull)?;
        self.file.write_all(piece).await?;
        self.file.flush().await?;
        self.bytes += room.keep();
        Ok(())
    }

    /// Rewinds to read what was written.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) async fn reread(mut self) -> io::Result<Take<Self>> {
        self.file.rewind().await?;
        let bytes = self.bytes;
        Ok(self.take(bytes))
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        USED.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl AsyncRead for SpoolFile {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().file).poll_read(cx, into)
    }
}

/// Bytes counted against the bound until they are kept or dropped.
struct Room(u64);

impl Room {
    fn take(bytes: u64, limit: u64) -> Option<Self> {
        let add = |used: u64| used.checked_add(bytes).filter(|used| *used <= limit);
        USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Self(bytes))
    }

    fn keep(mut self) -> u64 {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        USED.fetch_sub(self.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other tests use files too, but far fewer bytes than the bound leaves.
    #[tokio::test]
    async fn all_files_together_have_a_bound() {
        const LIMIT: u64 = 1 << 40;
        let _others = Room::take(LIMIT - (1 << 30), u64::MAX).unwrap();
        let mut file = SpoolFile::create(LIMIT).await.unwrap();
        file.append(b"fits").await.unwrap();
        let rest = Room::take(1 << 30, u64::MAX).unwrap();
        assert_eq!(file.append(b"more").await.unwrap_err().kind(), io::ErrorKind::StorageFull);
        drop(rest);
        file.append(b" again").await.unwrap();
        assert_eq!(file.bytes(), 10);
        let mut read = String::new();
        file.reread().await.unwrap().read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "fits again");
    }
}
