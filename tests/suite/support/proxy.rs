//! A running `scopegate serve`.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::process::{Killed, wait_for};

/// A soak of many minutes may log every request, which must not fill the memory.
const LONGEST_LOG: usize = 16 << 20;

/// The time without a line after which the log is complete. A thread of its own writes it, every 10 ms.
const QUIET: Duration = Duration::from_millis(50);

/// The time that a test waits for the log to become quiet. A busy proxy's log never is.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A proxy, killed on drop. Its output is then searched for secrets.
pub(crate) struct Proxy {
    process: Killed,
    stderr: Log,
    reader: Option<JoinHandle<()>>,
    secrets: Vec<String>,
    /// Contains `proxy.toml`.
    folder: TempDir,
}

impl Proxy {
    /// Runs `BINARY serve` with this configuration and waits until every listener has logged its address.
    ///
    /// The environment is `PATH` and `env`, so that the proxy's secrets never come from the tester's environment.
    pub(crate) fn start_binary(binary: &Path, config: &str, env: &[(&str, &str)]) -> Self {
        Self::spawn(command(binary, env), Stdio::null(), config, env)
    }

    /// Like [`Self::start_binary`], with a listening socket that is passed on as systemd does it.
    pub(crate) fn start_inheriting(
        binary: &Path,
        (name, socket): (&str, OwnedFd),
        config: &str,
        env: &[(&str, &str)],
    ) -> Self {
        let mut shell = command(Path::new("sh"), env);
        shell.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", name);
        // Sockets begin at descriptor 3 and are only for the process with this id.
        shell.args(["-c", r#"exec 3<&0 0</dev/null; export LISTEN_PID=$$; exec "$0" "$@""#]).arg(binary);
        Self::spawn(shell, Stdio::from(socket), config, env)
    }

    /// Like [`Self::start_binary`], with a limit on file descriptors.
    pub(crate) fn start_with_descriptors(
        binary: &Path,
        most: u32,
        config: &str,
        env: &[(&str, &str)],
    ) -> Self {
        let mut shell = command(Path::new("sh"), env);
        shell.args(["-c", &format!(r#"ulimit -n {most}; exec "$0" "$@""#)]).arg(binary);
        Self::spawn(shell, Stdio::null(), config, env)
    }

    fn spawn(mut command: Command, stdin: Stdio, config: &str, env: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("proxy.toml");
        fs::write(&file, config).unwrap();
        let mut child = command
            .args(["serve", "--config"])
            .arg(&file)
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stderr = Log::default();
        let reader = stderr.fill_from(&mut child);
        let secrets = secrets_in(env);
        let mut proxy = Self { process: Killed(child), stderr, reader: Some(reader), secrets, folder };
        proxy.wait_for_listeners(listeners_of(config));
        proxy
    }

    /// Replaces the configuration and triggers a reload.
    pub(crate) fn reload(&self, config: &str) {
        fs::write(self.folder.path().join("proxy.toml"), config).unwrap();
        self.signal("HUP");
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap();
        assert!(sent.success(), "kill -{name} {id}: {sent}");
    }

    fn wait_for_listeners(&mut self, expected: usize) {
        let listening = wait_for(|| {
            if self.stderr.text().lines().filter_map(listening).count() >= expected {
                return Some(true);
            }
            self.process.has_ended().then_some(false)
        });
        if listening != Some(true) {
            self.process.kill();
            self.read_up();
            panic!("scopegate serve does not listen; its stderr:\n{}", self.stderr.text());
        }
    }

    /// Returns the address of the listener with this name. The admin listener's name is `admin`.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        // A separate thread writes the log, so the line may appear a moment after a reload.
        let found = wait_for(|| {
            let stderr = self.stderr.text();
            let found = stderr.lines().filter_map(listening).find(|(listener, _)| listener == name);
            found.and_then(|(_, address)| address.parse().ok())
        });
        match found {
            Some(address) => address,
            None => panic!("no address of the listener {name} in stderr:\n{}", self.stderr.text()),
        }
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// Returns the text written to stderr so far, once the lines of everything that has happened are in it.
    pub(crate) fn stderr(&self) -> String {
        let start = Instant::now();
        let (mut length, mut since) = (self.stderr.text().len(), start);
        while since.elapsed() < QUIET && start.elapsed() < LONGEST_WAIT {
            thread::sleep(QUIET / 10);
            let now = self.stderr.text().len();
            if now != length {
                (length, since) = (now, Instant::now());
            }
        }
        self.stderr.text().clone()
    }

    /// Sends SIGTERM and waits for the end. Returns the exit code (`None` after a signal) and all of stderr.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        let Some(status) = wait_for(|| self.process.0.try_wait().unwrap()) else {
            panic!("scopegate did not end on SIGTERM; its stderr:\n{}", self.stderr.text());
        };
        self.read_up();
        let log = self.stderr.text().clone();
        (status.code(), log)
    }

    fn read_up(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.process.kill();
        if thread::panicking() {
            return;
        }
        self.read_up();
        assert_holds_none(&self.secrets, &self.stderr.text());
    }
}

/// Fails the test if the text contains one of these secrets.
pub(crate) fn assert_holds_none(secrets: &[String], written: &str) {
    for secret in secrets {
        assert!(!written.contains(secret.as_str()), "scopegate wrote the secret {secret:?}:\n{written}");
    }
}

/// Returns what a proxy with this environment must never write: its keys, the beginnings of both parts of a JWT, such as
/// sessions' tokens, and a part of signatures. `eyJ` alone may occur in the name of a temporary folder.
pub(crate) fn secrets_in(env: &[(&str, &str)]) -> Vec<String> {
    let keys = env.iter().filter(|(name, _)| name.ends_with("_SECRET") || name.ends_with("_SECRET_KEY"));
    let known = ["eyJhbGciO", ".eyJ", "AWS4-HMAC-SHA256 Credential="];
    keys.map(|(_, value)| *value).chain(known).map(str::to_owned).collect()
}

/// Returns a `scopegate` command whose environment is only `PATH` and `env`.
pub(crate) fn command(binary: &Path, env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary);
    command.env_clear().env("NO_COLOR", "1").envs(env.iter().copied());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// The lines that a child has written to stderr.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn text(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill_from(&self, child: &mut Child) -> JoinHandle<()> {
        let mut lines: BufReader<ChildStderr> = BufReader::new(child.stderr.take().unwrap());
        let log = self.clone();
        thread::spawn(move || {
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                append(&mut log.text(), &String::from_utf8_lossy(&line));
                line.clear();
            }
        })
    }
}

/// Appends to a log. Keeps only the start and the end of a long log.
fn append(log: &mut String, line: &str) {
    log.push_str(line);
    if log.len() > LONGEST_LOG {
        let (start, end) =
            (log.floor_char_boundary(LONGEST_LOG / 4), log.floor_char_boundary(LONGEST_LOG / 4 * 3));
        log.replace_range(start..end, "\n[left out]\n");
    }
}

/// Returns the number of listeners in a configuration, including the admin listener.
fn listeners_of(config: &str) -> usize {
    config
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("[[listener]]") || line.starts_with("[admin]"))
        .count()
}

/// Returns name and address from a log line that announces a listener, in text or JSON.
fn listening(line: &str) -> Option<(String, String)> {
    line.contains("listening").then_some(())?;
    Some((field(line, "name")?, field(line, "address")?))
}

/// Returns the value of `key=value`, `key="value"` or `"key":"value"`.
fn field(line: &str, key: &str) -> Option<String> {
    let starts = [format!(" {key}="), format!("\"{key}\":")];
    let rest = starts.iter().find_map(|start| line.split_once(start.as_str()))?.1.trim_start();
    let value = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split([' ', ',', '}']).next(),
    };
    value.map(|value| value.trim_end().to_owned())
}

#[test]
fn reads_addresses_from_text_and_json() {
    let expected = Some(("sidecar".to_owned(), "127.0.0.1:4711".to_owned()));
    for line in [
        "2026-01-01T00:00:00Z  INFO scopegate: listening name=sidecar address=127.0.0.1:4711",
        r#"2026-01-01T00:00:00Z  INFO scopegate::serve: listening name="sidecar" address="127.0.0.1:4711" tls=false"#,
        r#"{"level":"INFO","fields":{"message":"listening","name":"sidecar","address":"127.0.0.1:4711"}}"#,
    ] {
        assert_eq!(listening(line), expected, "{line}");
    }
    assert_eq!(listening("INFO scopegate: stopping name=sidecar address=127.0.0.1:4711"), None);
}

#[test]
fn a_long_log_keeps_its_start_and_its_end() {
    let mut log = "start é\n".to_owned();
    for number in 0..300_000 {
        append(&mut log, &format!("{number}: {}\n", "é".repeat(60)));
    }
    assert!(log.len() <= LONGEST_LOG, "{}", log.len());
    assert!(log.starts_with("start é\n0: "), "the start is missing");
    assert!(log.contains("\n[left out]\n") && log.contains("\n299999: "), "the end is missing");
}
