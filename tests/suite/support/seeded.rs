//! A MinIO that is set up as the README describes, without the time that `mc` takes.
//!
//! `mc` and MinIO need three seconds of processor time for this set-up. So it is made once per process, and other servers start with
//! a copy of its files.

use super::keys::Keys;
use super::minio::Minio;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static SEED: LazyLock<Seed> = LazyLock::new(Seed::make);

/// The files of a server after [`Minio::seed_issuer`].
struct Seed {
    root: Keys,
    issuer: Keys,
    /// Paths below the server's drive, and contents.
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Minio {
    /// Starts a server that is set up as after [`Self::seed_issuer`], and returns it with its issuer. All of these servers of a
    /// process have the same keys.
    pub(crate) fn start_seeded() -> (Self, Keys) {
        let minio = Self::start_with_data(SEED.root.clone(), |drive| SEED.write(drive));
        (minio, SEED.issuer.clone())
    }
}

impl Seed {
    fn make() -> Self {
        let mut minio = Minio::start();
        let issuer = minio.seed_issuer();
        minio.stop();
        let (drive, mut files) = (minio.drive(), Vec::new());
        read(&drive, Path::new(""), &mut files);
        Self { root: minio.root.clone(), issuer, files }
    }

    fn write(&self, drive: &Path) {
        for (path, content) in &self.files {
            let path = drive.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }
}

/// Adds all files in `folder`, a path below `drive`.
fn read(drive: &Path, folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(drive.join(folder)).unwrap().map(Result::unwrap) {
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            read(drive, &path, files);
        } else {
            files.push((path.clone(), fs::read(drive.join(path)).unwrap()));
        }
    }
}
