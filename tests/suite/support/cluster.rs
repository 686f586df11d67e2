//! A real MinIO of four nodes, each a process with its own port and folder.

use super::http;
use super::keys::Keys;
use super::minio::{Minio, free_address, spawn};
use super::process::{Killed, wait_for};
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;

const NODES: usize = 4;

/// A running cluster. On drop it ends and its data is deleted.
pub(crate) struct Cluster {
    /// The first node, which `mc` uses.
    pub(crate) first: Minio,
    /// The addresses of all nodes.
    pub(crate) addresses: Vec<SocketAddr>,
    /// All nodes except the first.
    others: Vec<Killed>,
    drives: Vec<String>,
    folder: TempDir,
}

impl Cluster {
    /// Starts the nodes on free ports and waits until each is ready.
    pub(crate) fn start() -> Self {
        for _attempt in 0..5 {
            match Self::try_start() {
                Ok(cluster) => return cluster,
                Err(log) if log.contains("port is already in use") => {}
                Err(log) => panic!("a node did not start:\n{log}"),
            }
        }
        panic!("five times, another process took a node's port")
    }

    fn try_start() -> Result<Self, String> {
        let folder = TempDir::new().unwrap();
        let root = Keys::random("root-of-the-test");
        let addresses: Vec<_> = (0..NODES).map(|_| free_address()).collect();
        let drive = |(number, address)| format!("http://{address}{}/drive{number}", folder.path().display());
        let drives: Vec<_> = addresses.iter().enumerate().map(drive).collect();
        let mut nodes: Vec<_> = addresses
            .iter()
            .enumerate()
            .map(|(number, address)| start_node(number, *address, &root, folder.path(), &drives))
            .collect();
        for (number, address) in addresses.iter().enumerate() {
            let ready = wait_for(|| {
                if nodes[number].has_ended() {
                    return Some(false);
                }
                serves(*address).then_some(true)
            });
            if ready != Some(true) {
                return Err(std::fs::read_to_string(log(number, folder.path())).unwrap());
            }
        }
        let first = nodes.remove(0);
        let first = Minio::of_node(addresses[0], root, first, TempDir::new().unwrap());
        Ok(Self { first, addresses, others: nodes, drives, folder })
    }

    /// Kills a node other than the first.
    pub(crate) fn kill(&mut self, node: usize) {
        self.others[node - 1].kill();
    }

    /// Restarts a killed node, and waits until it is ready and the others see it. The others must be running.
    pub(crate) fn restart(&mut self, node: usize) {
        let (address, folder) = (self.addresses[node], self.folder.path());
        self.others[node - 1] = start_node(node, address, &self.first.root, folder, &self.drives);
        let log = || std::fs::read_to_string(log(node, folder)).unwrap();
        let all_serve = || self.addresses.iter().all(|address| serves(*address));
        assert!(wait_for(|| all_serve().then_some(())).is_some(), "{}", log());
    }
}

fn log(number: usize, folder: &Path) -> std::path::PathBuf {
    folder.join(format!("log{number}"))
}

fn start_node(number: usize, address: SocketAddr, root: &Keys, folder: &Path, drives: &[String]) -> Killed {
    spawn(&Minio::programs().minio, address, root, &log(number, folder), drives, &[])
}

/// Returns whether a node is ready and sees all others. Writes must still succeed without one node, and three of four
/// are needed for that.
fn serves(address: SocketAddr) -> bool {
    ["/minio/health/cluster?maintenance=true", "/minio/health/ready"]
        .iter()
        .all(|target| http::get(address, target).is_ok_and(|answer| answer.status() == 200))
}
