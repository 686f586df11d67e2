//! `scopegate get`: downloads an object with a token.

use super::store::{Store, TokenArgs, Wanted, encoded, split_path};
use super::{CommandError, progress};
use crate::authorize::rights::Right;
use crate::store::pool::Download;
use http_body_util::BodyExt;
use http1::Response;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};

/// The arguments of `get`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The progress is shown on standard error if that is a terminal.\n\n\
    Example:\n  scopegate token ... | scopegate get tmp/media/hello.txt -o hello.txt")]
pub struct Args {
    /// The bucket and the key, as in tmp/media/hello.txt
    pub path: String,
    /// The file to write; standard output when not given
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The token
    #[command(flatten)]
    pub token: TokenArgs,
}

/// Gets the object.
///
/// # Errors
/// Fails if the store refuses the request, the transfer breaks off, or the file cannot be written.
pub async fn run(args: Args) -> Result<(), CommandError> {
    let (bucket, key) = split_path(&args.path)?;
    if key.is_empty() {
        return Err(CommandError::usage(
            "the path names no key: write BUCKET/KEY, as in tmp/media/hello.txt",
        ));
    }
    let store = Store::open(&args.token)?;
    let wanted = Wanted { bucket, path: key, right: Right::Read };
    let answer = store.get(wanted, &format!("/{bucket}/{}", encoded(key))).await?;
    match &args.output {
        Some(path) if path != Path::new("-") => to_file(answer, path).await,
        _ => to_stdout(answer).await,
    }
}

async fn to_stdout(answer: Response<Download>) -> Result<(), CommandError> {
    // On a terminal that shows the object, a progress bar would garble it.
    let shown = !io::stdout().is_terminal();
    match copy(answer, &mut io::stdout(), shown).await {
        // The reader has stopped early, as `head` does.
        Err(CopyError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(error.into_command("standard output")),
        Ok(()) => Ok(()),
    }
}

/// Downloads to a temporary file and renames it, so that `path` never has half an object.
async fn to_file(answer: Response<Download>, path: &Path) -> Result<(), CommandError> {
    let place = path.display().to_string();
    let failed = |error: io::Error| {
        let help = match error.kind() {
            io::ErrorKind::NotFound => "\n  create its folder first",
            io::ErrorKind::IsADirectory => "\n  name a file in it",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "\n  name a file in a folder that may be written to"
            }
            _ => "",
        };
        CommandError::failed(format!("cannot write {place}: {error}{help}"))
    };
    let mut aside = Aside::create(path).map_err(failed)?;
    tokio::select! {
        copied = copy(answer, &mut aside.file, true) => copied.map_err(|error| error.into_command(&place))?,
        () = interrupted() => return Err(CommandError::failed(format!("interrupted: {place} was not written"))),
    }
    aside.keep(path).map_err(failed)
}

/// Waits for SIGINT or SIGTERM, so that the temporary file can be removed.
async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// A temporary file beside the target. It is removed when dropped, unless it was kept.
struct Aside {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl Aside {
    fn create(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut aside = std::ffi::OsString::from(".");
        aside.push(name);
        aside.push(format!(".{:08x}.part", fastrand::u32(..)));
        let path = path.with_file_name(aside);
        let file = File::options().write(true).create_new(true).open(&path)?;
        Ok(Self { path, file, kept: false })
    }

    fn keep(mut self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.path, path)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

enum CopyError {
    Write(io::Error),
    Read(String),
}

impl CopyError {
    fn into_command(self, place: &str) -> CommandError {
        CommandError::failed(match self {
            Self::Write(error) => format!("cannot write {place}: {error}"),
            Self::Read(error) => format!("the transfer broke off: {error}"),
        })
    }
}

async fn copy(answer: Response<Download>, to: &mut impl Write, shown: bool) -> Result<(), CopyError> {
    let length =
        answer.fields.get("content-length").and_then(|length| str::from_utf8(length).ok()?.parse().ok());
    let progress = progress::of_download(length, shown);
    let mut body = answer.body;
    let mut copied = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| CopyError::Read(error.to_string()))?.into_data() else {
            continue;
        };
        to.write_all(&data).map_err(CopyError::Write)?;
        copied += data.len() as u64;
        progress.set_position(copied);
    }
    to.flush().map_err(CopyError::Write)?;
    progress.finish_and_clear();
    match length {
        Some(length) if length != copied => Err(CopyError::Read(format!("{copied} of {length} bytes came"))),
        _ => Ok(()),
    }
}
