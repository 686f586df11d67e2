//! Reads the files that declare credentials again when they change.
//!
//! It polls. Kubernetes replaces a mounted file by swapping a link to its folder, after which a watch of the file
//! itself would never report again.

use super::file_group::{Group, Owner};
use super::tls_files;
use crate::authenticate::followed::Followed;
use crate::config::read_declarations;
use crate::net::guarded::ReadError;
use crate::proxy::generation::{Generation, Shared};
use crate::sigv4::secret::Secret;
use crate::telemetry::metrics::Metrics;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// The time between two looks.
const INTERVAL: Duration = Duration::from_secs(2);
/// The time between two warnings about certificates that end.
const REMINDER: Duration = Duration::from_hours(24);
/// The age from which a file with the same times has the same content. Two changes within the resolution of a file
/// system's clock have the same time.
const SETTLED: Duration = Duration::from_secs(4);

/// What is known of the files of one generation.
#[derive(Default)]
struct Known {
    generation: Weak<Generation>,
    /// By what the file declares, and by its path.
    seen: HashMap<(&'static str, Box<Path>), Seen>,
    groups: HashMap<Owner, SeenGroup>,
}

/// The last look at the files of a group.
#[derive(Default)]
struct SeenGroup {
    stamps: Option<Vec<Stamp>>,
    /// What was wrong at the last look.
    found: Vec<String>,
    /// What is wrong, as the log says.
    mistakes: Vec<String>,
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
    let mut warned = Instant::now();
    loop {
        sleep(INTERVAL).await;
        let generation = shared.generation.load_full();
        let has_tls = tls_files::exist(&generation);
        if has_tls && warned.elapsed() >= REMINDER {
            warned = Instant::now();
            tls_files::warn(&generation, shared.clock.now());
        }
        if !has_tls && generation.authenticator.files().is_empty() {
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
        known.look(&generation, &shared.metrics);
        known.look_at_tls(&generation, &shared);
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
    fn look(&mut self, generation: &Arc<Generation>, metrics: &Metrics) {
        if !std::ptr::eq(self.generation.as_ptr(), Arc::as_ptr(generation)) {
            // A reload reads the files too. Which of both came last is not known, so they are read once more.
            *self = Self { generation: Arc::downgrade(generation), ..Self::default() };
        }
        let mut mistakes = BTreeMap::<_, Vec<String>>::new();
        for file in generation.authenticator.files() {
            let seen = self.seen.entry((file.name, file.path.into())).or_default();
            seen.look(&file);
            let shown = seen.mistakes.iter().map(|mistake| format!("{}: {mistake}", file.path.display()));
            mistakes.entry(file.name).or_default().extend(shown);
        }
        for (name, mistakes) in mistakes {
            metrics.credentials.read(name, mistakes);
        }
    }

    fn look_at_tls(&mut self, generation: &Generation, shared: &Shared) {
        tls_files::look(generation, shared, |owner, group| {
            let seen = self.groups.entry(owner.clone()).or_default();
            seen.look(owner, group);
            seen.mistakes.clone()
        });
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

impl SeenGroup {
    /// Looks at the files, and puts them into effect if all have changed together.
    fn look(&mut self, owner: &Owner, group: &mut dyn Group) {
        let before = stamps(group);
        if before.is_some() && before == self.stamps {
            return;
        }
        self.stamps = None;
        let found = group.load().err().unwrap_or_default();
        // Files that change while they are read may not belong together.
        if stamps(group) != before {
            return;
        }
        if found.is_empty() {
            if group.apply() {
                let (listener, section) = owner.names();
                tracing::info!(listener, section, "certificates read again: new connections use them");
            }
            let now = SystemTime::now();
            self.stamps = before.filter(|stamps| stamps.iter().all(|stamp| stamp.is_settled(now)));
        }
        // A certificate and its key may be written one after the other. The next look shows whether they fit then.
        if found.is_empty() || found == self.found {
            self.note(&found, owner);
        }
        self.found = found;
    }

    /// Logs mistakes when they are new, and when they are gone.
    fn note(&mut self, found: &[String], owner: &Owner) {
        if found == self.mistakes {
            return;
        }
        let (listener, section) = owner.names();
        for error in found {
            tracing::error!(listener, section, %error, "certificates not read again: those before stay in effect");
        }
        if found.is_empty() {
            tracing::info!(listener, section, "the files of certificates have no mistakes any more");
        }
        self.mistakes = found.to_vec();
    }
}

/// Returns the stamps of all files. `None` if one is missing.
fn stamps(group: &dyn Group) -> Option<Vec<Stamp>> {
    let stamp = |path: &Path| std::fs::metadata(path).ok().map(|about| Stamp::of(&about));
    group.files().into_iter().map(stamp).collect()
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
    use crate::authenticate::keys::Keys;
    use crate::config::tests::{EXAMPLE, Fake};
    use crate::config::{Config, Environment, SystemEnvironment};
    use crate::net::wall_clock::WallClock;
    use crate::proxy::tests::{Mints, proxy_of};
    use crate::telemetry::metrics::Format;
    use std::cell::RefCell;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;
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

    /// Files in a folder, and otherwise what [`Fake`] has.
    struct Files<'f>(&'f Path);

    impl Environment for Files<'_> {
        fn variable(&self, name: &str) -> Result<Secret, ReadError> {
            Fake.variable(name)
        }

        fn file(&self, path: &Path) -> Result<Secret, ReadError> {
            if path.starts_with(self.0) { SystemEnvironment.file(path) } else { Fake.file(path) }
        }
    }

    /// Returns the generation of a configuration with two keys, as a reload would read it now.
    fn generation(folder: &Path) -> (Arc<Generation>, Arc<Keys>) {
        let key = |name: &str| {
            let path = folder.join(name);
            format!("[[key]]\naccess_key = \"{name}\"\nsecret_key = {{ file = {path:?} }}\n")
        };
        let clients = EXAMPLE.replace("client  = {", "client  = { key = [\"ONE\", \"TWO\"],");
        let source = clients + &key("ONE") + &key("TWO");
        let config = Config::parse(&source, &Files(folder)).unwrap();
        let keys = Arc::clone(&config.keys);
        (Arc::clone(proxy_of(config, WallClock::SYSTEM, Mints).generation()), keys)
    }

    const OLD: &str = "an old secret key";
    const NEW: &str = "a new secret key";

    #[tokio::test]
    async fn the_secret_of_a_key_takes_effect_when_its_file_changes() {
        let folder = tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let metrics = Arc::new(Metrics::default());
        let is_in_effect = || {
            let text = metrics.encode(Format::Text);
            text.contains("scopegate_file_last_read_successful{file=\"keys\"} 1")
        };
        for name in ["ONE", "TWO"] {
            write(&at(name), OLD);
        }
        let (generation, keys) = generation(folder.path());
        let mut known = Known::default();
        known.look(&generation, &metrics);
        write(&at("ONE"), &format!("{NEW}\n"));
        write(&at("TWO"), "too short");
        known.look(&generation, &metrics);
        assert!(keys.has_secret("ONE", NEW) && keys.has_secret("TWO", OLD) && !is_in_effect());
        write(&at("TWO"), NEW);
        known.look(&generation, &metrics);
        assert!(keys.has_secret("TWO", NEW) && is_in_effect());
    }

    /// A reload reads a file, which then changes and takes effect before the reload does.
    #[tokio::test]
    async fn a_reload_leaves_no_older_content_in_effect() {
        let folder = tempdir().unwrap();
        let metrics = Metrics::default();
        for name in ["ONE", "TWO"] {
            write(&folder.path().join(name), OLD);
        }
        let (before, old_keys) = generation(folder.path());
        let mut known = Known::default();
        known.look(&before, &metrics);
        let (after, new_keys) = generation(folder.path());
        write(&folder.path().join("ONE"), NEW);
        known.look(&before, &metrics);
        assert!(old_keys.has_secret("ONE", NEW) && new_keys.has_secret("ONE", OLD));
        known.look(&after, &metrics);
        assert!(new_keys.has_secret("ONE", NEW) && new_keys.has_secret("TWO", OLD));
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

    /// A certificate and its key, which fit if their content is the same.
    struct Pair {
        paths: [PathBuf; 2],
        read: Option<String>,
        applied: Vec<String>,
    }

    impl Group for Pair {
        fn files(&self) -> Vec<&Path> {
            self.paths.iter().map(PathBuf::as_path).collect()
        }

        fn load(&mut self) -> Result<(), Vec<String>> {
            let [one, two] = self.paths.each_ref().map(|path| fs::read_to_string(path).unwrap_or_default());
            self.read = (one == two).then_some(one);
            if self.read.is_some() { Ok(()) } else { Err(vec!["they do not fit".to_owned()]) }
        }

        fn apply(&mut self) -> bool {
            self.applied.extend(self.read.take());
            true
        }
    }

    #[test]
    fn the_files_of_a_group_take_effect_together() {
        let folder = tempdir().unwrap();
        let paths = ["crt", "key"].map(|name| folder.path().join(name));
        let mut pair = Pair { paths, read: None, applied: Vec::new() };
        let (mut seen, door) = (SeenGroup::default(), Owner::Listener("door".into()));
        let write_both = |pair: &Pair, text: &str| pair.paths.iter().for_each(|path| write(path, text));
        write_both(&pair, "one");
        seen.look(&door, &mut pair);
        assert_eq!(pair.applied, ["one"]);
        write(&pair.paths[0], "two");
        seen.look(&door, &mut pair);
        assert!(seen.mistakes.is_empty(), "the key may follow in a moment");
        write(&pair.paths[1], "two");
        seen.look(&door, &mut pair);
        assert_eq!((&*pair.applied, seen.mistakes.len()), (&["one".to_owned(), "two".to_owned()][..], 0));
        write(&pair.paths[0], "three");
        seen.look(&door, &mut pair);
        seen.look(&door, &mut pair);
        assert_eq!(seen.mistakes, ["they do not fit"]);
        fs::remove_file(&pair.paths[0]).unwrap();
        seen.look(&door, &mut pair);
        assert_eq!(pair.applied.len(), 2);
        write_both(&pair, "three");
        seen.look(&door, &mut pair);
        assert!(pair.applied[2] == "three" && seen.mistakes.is_empty());
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
