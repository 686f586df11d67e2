//! An origin that sends files: nginx with sendfile(2), on the core of the load.

use super::child::{Tree, on_core};
use crate::proc;
use crate::support::http;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The time for the origin to start.
const PATIENCE: Duration = Duration::from_secs(5);
/// The amount of a file that is written at a time, in bytes.
const PIECE: u64 = 1 << 20;

/// The running origin.
pub(crate) struct Files {
    pub(crate) address: SocketAddr,
    _process: Tree,
    _folder: TempDir,
}

impl Files {
    /// Starts the origin on a core, with objects of these lengths and one of 1 KiB.
    ///
    /// # Errors
    /// The files cannot be written, or nginx does not start.
    pub(crate) fn start(nginx: &Path, core: usize, lengths: &[u64]) -> Result<Self, String> {
        let failed = |error: io::Error| format!("the origin of files: {error}");
        let folder = TempDir::new().map_err(failed)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        drop(listener);
        write_objects(folder.path(), lengths).map_err(failed)?;
        let config = folder.path().join("nginx.conf");
        fs::write(&config, configuration(address, folder.path())).map_err(failed)?;
        let mut command = on_core(core, nginx);
        command.args(["-e", "stderr", "-c"]).arg(&config).arg("-p").arg(folder.path());
        let process = Tree::start(command)?;
        let started = Instant::now();
        while http::get(address, "/tmp/media/1024").is_err() {
            if started.elapsed() > PATIENCE {
                return Err("the origin of files does not start".to_owned());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { address, _process: process, _folder: folder })
    }
}

fn write_objects(folder: &Path, lengths: &[u64]) -> io::Result<()> {
    let objects = folder.join("tmp/media");
    fs::create_dir_all(&objects)?;
    let piece = vec![b'x'; usize::try_from(PIECE).unwrap_or_default()];
    for length in lengths.iter().copied().chain([1024]) {
        let mut file = File::create(objects.join(length.to_string()))?;
        let mut left = length;
        while left > 0 {
            let most = left.min(PIECE);
            file.write_all(piece.get(..usize::try_from(most).unwrap_or_default()).unwrap_or_default())?;
            left -= most;
        }
    }
    Ok(())
}

fn configuration(address: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {folder}/{name};\n"))
        .concat();
    // Only root may name the user of the workers, who must be able to read the folder.
    let user = if proc::runs_as_root() { "user root;\n" } else { "" };
    format!(
        "{user}daemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log stderr crit;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n    access_log off;\n{temporary}    sendfile on;\n    tcp_nopush on;\n    \
         default_type application/octet-stream;\n    keepalive_requests 1000000000;\n    \
         server {{\n        listen {address} backlog=4096;\n        root {folder};\n    }}\n}}\n"
    )
}
