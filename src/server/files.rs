//! Reads the files that declare credentials again when they change.
//!
//! It polls. Kubernetes replaces a mounted file by swapping a link to its folder, after which a watch of the file
//! itself would never report again.

use crate::authenticate::followed::Followed;
use crate::config::read_declarations;
use crate::net::guarded::ReadError;
use crate::proxy::generation::{Generation, Shared};
use crate::sigv4::secret::Secret;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// The time between two looks.
const INTERVAL: Duration = Duration::from_secs(2);
/// The age from which a file with the same times has the same content. Two changes within the resolution of a file
/// system's clock have the same time.
const SETTLED: Duration = Duration::from_secs(4);

/// What is known of the files of one generation.
#[derive(Default)]
struct Known {
    generation: Weak<Generation>,
    seen: HashMap<&'static str, Seen>,
}

/// The last look at a file.
#[derive(Default)]
struct Seen {
    stamp: Option<Stamp>,
    digest: Option<[u8; 32]>,
    /// What is wrong with the file or its content.
    mistakes: Vec<String>,
}

/// What tells one version of a file from another without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp([i64; 7]);

/// Looks at the files of the current generation from time to time.
pub(super) async fn follow(shared: Arc<Shared>) {
    let mut known = Known::default();
    loop {
        sleep(INTERVAL).await;
        let generation = shared.generation.load_full();
        if generation.authenticator.files().is_empty() {
            continue;
        }
        known = look_on_thread(known, generation, Arc::clone(&shared)).await;
    }
}

/// Looks on a new thread, because files may be slow and this one refreshes the sessions. The process does not wait for
/// that thread when it ends.
async fn look_on_thread(mut known: Known, generation: Arc<Generation>, shared: Arc<Shared>) -> Known {
    let (done, looked) = oneshot::channel();
    let look = move || {
        known.look(&generation, &shared);
        // The receiver is gone if the server stops meanwhile.
        let _ = done.send(known);
    };
    if let Err(error) = thread::Builder::new().name("files".to_owned()).spawn(look) {
        tracing::error!(%error, "cannot start a thread to read files that changed");
    }
    // After a panic, which is logged, every file is read again.
    looked.await.unwrap_or_default()
}

impl Known {
    fn look(&mut self, generation: &Arc<Generation>, shared: &Shared) {
        if !std::ptr::eq(self.generation.as_ptr(), Arc::as_ptr(generation)) {
            // A reload reads the files too. Which of both came last is not known, so they are read once more.
            *self = Self { generation: Arc::downgrade(generation), seen: HashMap::new() };
        }
        for file in generation.authenticator.files() {
            let seen = self.seen.entry(file.name).or_default();
            seen.look(&file);
            shared.metrics.credentials.read(file.name, seen.mistakes.is_empty());
        }
    }
}

impl Seen {
    fn look(&mut self, file: &Followed<'_>) {
        let stamp = std::fs::metadata(file.path).ok().map(|about| Stamp::of(&about));
        if stamp.is_some() && stamp == self.stamp {
            return;
        }
        match read_declarations(file.path) {
            Ok(text) => self.follow(&text, file),
            Err(ReadError { message, help }) => {
                self.digest = None;
                self.note(vec![format!("{message}; {help}")], file);
            }
        }
        let now = SystemTime::now();
        self.stamp = stamp.filter(|stamp| stamp.is_settled(now) && self.digest.is_some());
    }

    fn follow(&mut self, text: &Secret, file: &Followed<'_>) {
        let digest = Sha256::digest(text.reveal()).into();
        if self.digest.replace(digest) == Some(digest) {
            return;
        }
        let mistakes = match (file.follow)(text.reveal()) {
            Ok(Some(entries)) => {
                tracing::info!(file = file.name, path = %file.path.display(), entries, "file read again");
                Vec::new()
            }
            Ok(None) => Vec::new(),
            Err(mistakes) => mistakes,
        };
        self.note(mistakes, file);
    }

    /// Logs mistakes when they are new, and when they are gone.
    fn note(&mut self, mistakes: Vec<String>, file: &Followed<'_>) {
        let path = file.path.display();
        if mistakes == self.mistakes {
            return;
        }
        for error in &mistakes {
            tracing::error!(file = file.name, %path, %error, "not read again: what it declared before stays in effect");
        }
        if mistakes.is_empty() {
            tracing::info!(file = file.name, %path, "the file has no mistakes any more");
        }
        self.mistakes = mistakes;
    }
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Self([
            number(file.dev()),
            number(file.ino()),
            number(file.size()),
            file.mtime(),
            file.mtime_nsec(),
            file.ctime(),
            file.ctime_nsec(),
        ])
    }

    /// Returns whether the last change was long enough ago that another would have another time.
    fn is_settled(&self, now: SystemTime) -> bool {
        let Self([.., changed, _]) = self;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        u64::try_from(*changed).is_ok_and(|changed| changed + SETTLED.as_secs() <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;
    use tempfile::tempdir;

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Looks at a file, and returns the texts that took effect. A text "bad" has a mistake.
    fn look(seen: &mut Seen, path: &Path) -> Vec<String> {
        let followed = RefCell::new(Vec::new());
        let follow = |text: &str| {
            followed.borrow_mut().push(text.to_owned());
            if text == "bad" { Err(vec!["line 1: bad".to_owned()]) } else { Ok(Some(1)) }
        };
        seen.look(&Followed { name: "users", path, follow: Box::new(follow) });
        followed.into_inner()
    }

    #[test]
    fn a_file_takes_effect_when_its_content_changes() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("users");
        let mut seen = Seen::default();
        write(&path, "one");
        assert_eq!(look(&mut seen, &path), ["one"]);
        assert_eq!(look(&mut seen, &path), [] as [&str; 0]);
        write(&path, "one");
        assert_eq!(look(&mut seen, &path), [] as [&str; 0], "the content is the same");
        write(&path, "two");
        assert_eq!(look(&mut seen, &path), ["two"], "the time may be the same");
    }

    #[test]
    fn a_mistake_is_noted_until_it_is_corrected() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("users");
        let mut seen = Seen::default();
        write(&path, "bad");
        assert_eq!(look(&mut seen, &path), ["bad"]);
        assert_eq!(seen.mistakes, ["line 1: bad"]);
        assert_eq!(look(&mut seen, &path), [] as [&str; 0]);
        assert_eq!(seen.mistakes, ["line 1: bad"], "it stays wrong without being read again");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        look(&mut seen, &path);
        assert!(seen.mistakes[0].contains("mode 0644"), "{:?}", seen.mistakes);
        fs::remove_file(&path).unwrap();
        look(&mut seen, &path);
        assert!(seen.mistakes[0].contains("cannot read"), "{:?}", seen.mistakes);
        write(&path, "good");
        assert_eq!(look(&mut seen, &path), ["good"]);
        assert!(seen.mistakes.is_empty());
    }

    /// Kubernetes mounts `users -> ..data/users` and `..data -> ..2026_01`, and swaps `..data`.
    #[test]
    fn a_swapped_link_to_the_folder_is_followed() {
        let folder = tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for version in ["..1", "..2"] {
            fs::create_dir(at(version)).unwrap();
            write(&at(version).join("users"), version);
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/users", at("users")).unwrap();
        let mut seen = Seen::default();
        assert_eq!(look(&mut seen, &at("users")), ["..1"]);
        symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert_eq!(look(&mut seen, &at("users")), ["..2"]);
    }

    #[test]
    fn a_stamp_is_trusted_only_when_another_change_would_have_another_time() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("users");
        write(&path, "one");
        let stamp = Stamp::of(&fs::metadata(&path).unwrap());
        let now = SystemTime::now();
        assert!(!stamp.is_settled(now) && stamp.is_settled(now + SETTLED * 2));
    }
}
