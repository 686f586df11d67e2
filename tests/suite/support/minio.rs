//! A real MinIO per test, set up with `mc` as a user would.

use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    http,
    keys::Keys,
    process::{Killed, wait_for},
};

/// A policy that allows everything in every bucket, like the issuer's in the README.
pub(crate) const ALLOW_ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}"#;

/// A policy that allows reading and listing in every bucket.
pub(crate) const READ_ONLY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
    "Action":["s3:Get*","s3:List*","s3:HeadBucket"],"Resource":["arn:aws:s3:::*"]}]}"#;

/// Paths of the programs to run.
#[derive(Clone)]
pub(crate) struct Programs {
    pub(crate) minio: PathBuf,
    pub(crate) mc: PathBuf,
}

/// A running server. On drop it ends and its data is deleted.
pub(crate) struct Minio {
    pub(crate) address: SocketAddr,
    pub(crate) root: Keys,
    programs: Programs,
    /// Additional environment variables.
    settings: Settings,
    process: Killed,
    folder: TempDir,
}

/// The folder of the drive in the server's folder.
const DRIVE: &str = "data";

type Settings = &'static [(&'static str, &'static str)];

impl Minio {
    /// Starts an empty server on a free port.
    pub(crate) fn start() -> Self {
        Self::start_programs(Self::programs())
    }

    /// Like [`Self::start`], with programs that the environment does not name.
    pub(crate) fn start_programs(programs: Programs) -> Self {
        Self::start_with(programs, &[])
    }

    /// Starts a server that ends a response whose reader pauses for a second, instead of 30 seconds.
    pub(crate) fn start_impatient() -> Self {
        Self::start_with(Self::programs(), &[("MINIO_IDLE_TIMEOUT", "1s")])
    }

    /// Starts a server whose drive has what `fill` writes there, and whose root has these keys.
    pub(super) fn start_with_data(root: Keys, fill: impl FnOnce(&Path)) -> Self {
        let folder = TempDir::new().unwrap();
        fill(&folder.path().join(DRIVE));
        Self::start_in(folder, root, Self::programs(), &[])
    }

    fn start_with(programs: Programs, settings: Settings) -> Self {
        Self::start_in(TempDir::new().unwrap(), Keys::random("root-of-the-test"), programs, settings)
    }

    fn start_in(folder: TempDir, root: Keys, programs: Programs, settings: Settings) -> Self {
        for _attempt in 0..5 {
            let address = free_address();
            match launch(&programs.minio, address, &root, folder.path(), settings) {
                Ok(process) => return Self { address, root, programs, settings, process, folder },
                Err(log) if log.contains("port is already in use") => {}
                Err(log) => panic!("minio did not start:\n{log}"),
            }
        }
        panic!("five times, another process took MinIO's port")
    }

    /// Starts a server that speaks TLS with this certificate and key in PEM.
    pub(crate) fn start_over_tls(certificate: &str, key: &str) -> Self {
        Self::start_over_tls_with(certificate, key, &[])
    }

    /// Like [`Self::start_over_tls`], with these settings.
    pub(crate) fn start_over_tls_with(certificate: &str, key: &str, settings: Settings) -> Self {
        let (folder, programs) = (TempDir::new().unwrap(), Self::programs());
        let root = Keys::random("root-of-the-test");
        let certs = folder.path().join("certs");
        fs::create_dir(&certs).unwrap();
        fs::write(certs.join("public.crt"), certificate).unwrap();
        fs::write(certs.join("private.key"), key).unwrap();
        let arguments = ["--certs-dir".to_owned(), certs.into_os_string().into_string().unwrap()];
        let data = folder.path().join(DRIVE).into_os_string().into_string().unwrap();
        let (address, log) = (free_address(), folder.path().join("log"));
        let process =
            spawn(&programs.minio, address, &root, &log, &[&arguments[..], &[data]].concat(), settings);
        let said = || fs::read_to_string(&log).unwrap();
        assert!(wait_for(|| said().contains("\nAPI: https://").then_some(())).is_some(), "{}", said());
        Self { address, root, programs, settings, process, folder }
    }

    /// Returns a server that was started as one node of several. It cannot be restarted.
    pub(super) fn of_node(address: SocketAddr, root: Keys, process: Killed, folder: TempDir) -> Self {
        Self { address, root, programs: Self::programs(), settings: &[], process, folder }
    }

    /// Returns the programs that the environment names.
    pub(super) fn programs() -> Programs {
        Programs { minio: named_in("MINIO_BIN"), mc: named_in("MC_BIN") }
    }

    /// Kills the server and starts it again at the same address with the same data.
    pub(crate) fn restart(&mut self) {
        self.process.kill();
        let folder = self.folder.path();
        self.process = launch(&self.programs.minio, self.address, &self.root, folder, self.settings)
            .unwrap_or_else(|log| panic!("minio did not start again:\n{log}"));
    }

    /// Changes root's password, which requires a restart.
    pub(crate) fn change_root_password(&mut self) {
        self.root = Keys::random(&self.root.access_key);
        self.restart();
    }

    /// Kills the server. [`Self::restart`] starts it again.
    pub(crate) fn stop(&mut self) {
        self.process.kill();
    }

    /// Returns the server's memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Returns the processor time that the server has used.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.0.id())).unwrap();
        // The name, which may contain blanks, is in parentheses. User and system time are the 12th and 13th field
        // after it.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = |at: usize| fields.split_whitespace().nth(at).unwrap().parse::<u64>().unwrap();
        Duration::from_millis((ticks(11) + ticks(12)) * 10)
    }

    /// Waits until the server uses less than half a processor.
    pub(crate) fn is_at_rest(&self) -> bool {
        let (mut before, mut since) = (self.processor_time(), Instant::now());
        let rests = || {
            if since.elapsed() < Duration::from_millis(500) {
                return None;
            }
            let (time, elapsed) = (self.processor_time().saturating_sub(before), since.elapsed());
            (before, since) = (self.processor_time(), Instant::now());
            (time < elapsed / 2).then_some(())
        };
        wait_for(rests).is_some()
    }

    /// Runs `mc` as root and returns its output. The server's alias is `local`.
    pub(crate) fn mc(&self, arguments: &[&str]) -> String {
        let Keys { access_key, secret_key, .. } = &self.root;
        let has_tls = self.folder.path().join("certs").exists();
        let scheme = if has_tls { "https" } else { "http" };
        let output = Command::new(&self.programs.mc)
            .args(arguments)
            // What is tested is the proxy's trust, not that of mc.
            .args(has_tls.then_some("--insecure"))
            .env("MC_CONFIG_DIR", self.folder.path().join("mc"))
            .env("MC_HOST_local", format!("{scheme}://{access_key}:{secret_key}@{}", self.address))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr);
        // Arguments after the fourth may be secrets.
        let shown = arguments.iter().take(4).copied().collect::<Vec<_>>().join(" ");
        assert!(output.status.success(), "mc {shown}: {}\n{said}{complained}", output.status);
        said
    }

    /// Sets an alias of `mc` to a server. Returns whether `mc` accepts the keys, and what it says.
    pub(crate) fn set_alias(&self, address: SocketAddr, keys: &Keys) -> (bool, String) {
        let output = Command::new(&self.programs.mc)
            .args(["alias", "set", "other", &format!("http://{address}")])
            .args([&keys.access_key, &keys.secret_key])
            .env("MC_CONFIG_DIR", self.folder.path().join("mc"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Adds a user with these rights.
    pub(crate) fn add_user(&self, name: &str, policy: &str) -> Keys {
        let keys = Keys::random(name);
        self.mc(&["admin", "user", "add", "local", name, &keys.secret_key]);
        let file = self.file(&format!("{name}.json"), policy.as_bytes());
        self.mc(&["admin", "policy", "create", "local", name, &file]);
        self.mc(&["admin", "policy", "attach", "local", name, "--user", name]);
        keys
    }

    /// Sets up what the README describes: bucket `tmp` with `media/hello.txt` and `other/secret.txt`, and a user
    /// `stsadmin` who may do everything.
    pub(crate) fn seed_issuer(&self) -> Keys {
        self.mc(&["mb", "local/tmp"]);
        self.put("tmp/media/hello.txt", b"hello, media\n");
        self.put("tmp/other/secret.txt", b"not for everyone\n");
        self.add_user("stsadmin", ALLOW_ALL)
    }

    /// Stores an object; `path` is `BUCKET/KEY`.
    pub(crate) fn put(&self, path: &str, content: &[u8]) {
        let file = self.file("object", content);
        self.mc(&["cp", "--quiet", &file, &format!("local/{path}")]);
    }

    /// Returns the folder of the server's drive.
    pub(super) fn drive(&self) -> PathBuf {
        self.folder.path().join(DRIVE)
    }

    /// Returns the number of lists of a bucket that the server keeps in the drive.
    pub(crate) fn kept_lists(&self, bucket: &str) -> usize {
        let kept = self.drive().join(".minio.sys/buckets").join(bucket).join(".metacache");
        fs::read_dir(kept).map_or(0, Iterator::count)
    }

    /// Returns the number of sessions that the server keeps.
    pub(crate) fn sessions(&self) -> usize {
        let folder = self.drive().join(".minio.sys/config/iam/sts");
        fs::read_dir(folder).map_or(0, Iterator::count)
    }

    pub(crate) fn disable_user(&self, name: &str) {
        self.mc(&["admin", "user", "disable", "local", name]);
    }

    pub(crate) fn enable_user(&self, name: &str) {
        self.mc(&["admin", "user", "enable", "local", name]);
    }

    pub(crate) fn remove_user(&self, name: &str) {
        self.mc(&["admin", "user", "remove", "local", name]);
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.into_os_string().into_string().unwrap()
    }
}

/// Starts a server and waits until its log and a request show that it is ready. MinIO hides its environment from
/// itself for moments (`env.SetEnvOff`) and sometimes misses its password then; in that case it is started again.
///
/// # Errors
/// The log, if the server does not become ready.
fn launch(
    minio: &Path,
    address: SocketAddr,
    root: &Keys,
    folder: &Path,
    settings: Settings,
) -> Result<Killed, String> {
    let start = || launch_once(minio, address, root, folder, settings);
    start().or_else(
        |log| {
            if log.contains("Missing credential environment variable") { start() } else { Err(log) }
        },
    )
}

fn launch_once(
    minio: &Path,
    address: SocketAddr,
    root: &Keys,
    folder: &Path,
    settings: Settings,
) -> Result<Killed, String> {
    let log = folder.join("log");
    let drives = [folder.join(DRIVE).into_os_string().into_string().unwrap()];
    let mut process = spawn(minio, address, root, &log, &drives, settings);
    // The log line shows that this server has the port. A response alone does not, because another test's server may
    // have taken the port first.
    let said = || fs::read_to_string(&log).unwrap();
    let ready = wait_for(|| {
        if process.has_ended() {
            return Some(false);
        }
        (said().contains("\nAPI: ") && is_live(address)).then_some(true)
    });
    if ready == Some(true) { Ok(process) } else { Err(said()) }
}

/// Starts a server without waiting for it.
pub(super) fn spawn(
    minio: &Path,
    address: SocketAddr,
    root: &Keys,
    log: &Path,
    drives: &[String],
    settings: Settings,
) -> Killed {
    let out = File::create(log).unwrap();
    Killed(
        Command::new(minio)
            .args(["server", "--address", &address.to_string()])
            .args(drives)
            .env("MINIO_ROOT_USER", &root.access_key)
            .env("MINIO_ROOT_PASSWORD", &root.secret_key)
            .env("MINIO_BROWSER", "off")
            .env("MINIO_CI_CD", "1")
            // In a container, a server does not recognise a loopback address as its own without this.
            .env("_MINIO_SERVER_LOCAL", address.to_string())
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap(),
    )
}

fn is_live(address: SocketAddr) -> bool {
    http::get(address, "/minio/health/live").is_ok_and(|answer| answer.status() == 200)
}

/// Returns an address that was free a moment ago.
pub(super) fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Returns the path of a program that the environment names.
pub(crate) fn named_in(variable: &str) -> PathBuf {
    match env::var_os(variable) {
        Some(path) => path.into(),
        None => {
            panic!("{variable} is not set: run `cargo xtask test`, which finds or installs what is needed")
        }
    }
}
