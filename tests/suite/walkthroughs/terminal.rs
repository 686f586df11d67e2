//! The terminal of a page's reader. MinIO runs, and the folder has `deploy` and `proxy.toml` of a checkout.
//!
//! A page that does not set MinIO up itself is for a reader who has followed "Use it with your MinIO" in the README: MinIO
//! has the issuer `stsadmin` and the bucket `tmp`, `mc` calls it `store`, and the issuer's keys are in the environment.
//!
//! A page uses the addresses and the root user of the README. Since tests run at the same time, [`Terminal::replaced`]
//! replaces them by free ones and by the user of the test's MinIO, and a folder of root's by the test's. In what is
//! printed it replaces them back.
//!
//! These commands are not run as they are written, because a page means them for a machine of its own:
//!
//! - `scopegate serve` runs in the background, as in a terminal of its own, and the next command waits for it.
//! - `pkill -x scopegate` reaches only the page's own proxy.

use super::page::End;
use super::shown;
use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::process::{Killed, wait_for};
use crate::support::proxy::{assert_holds_none, secrets_in};
use crate::support::scopegate::binary;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use tempfile::TempDir;

const SERVE: &str = "scopegate serve";

/// What the shell reads before the first command.
const PRELUDE: &str = r#"
umask 022
PAGE=$PWD/.page
pkill() { kill "$1" "$(cat "$PAGE/serve.pid")"; }
"#;

pub(super) struct Terminal {
    stdin: ChildStdin,
    shell: Killed,
    folder: TempDir,
    path: OsString,
    /// Words of the page, and what they are replaced by.
    replaced: [(&'static str, String); 7],
    /// The number of lines of the log up to the last that the page has shown.
    shown: usize,
    /// The issuer of a MinIO that is set up.
    issuer: Option<Keys>,
    _minio: Minio,
}

impl Terminal {
    /// Starts a MinIO that is set up as the README says, and a shell.
    pub(super) fn open() -> Self {
        let (minio, issuer) = Minio::start_seeded();
        minio.put("tmp/media/hello.txt", b"Hello from MinIO.\n");
        let store = format!("http://{}:{}@{}", minio.root.access_key, minio.root.secret_key, minio.address);
        let environment = [
            ("SCOPEGATE_ACCESS_KEY", issuer.access_key.clone()),
            ("SCOPEGATE_SECRET_KEY", issuer.secret_key.clone()),
            ("MC_HOST_store", store),
        ];
        Self::start(minio, &environment, Some(issuer))
    }

    /// Starts an empty MinIO and a shell.
    pub(super) fn open_empty() -> Self {
        Self::start(Minio::start(), &[], None)
    }

    fn start(minio: Minio, environment: &[(&str, String)], issuer: Option<Keys>) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, mode) in [("", 0o755), (".page", 0o700), ("run", 0o755)] {
            let path = folder.path().join(name);
            fs::create_dir_all(&path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        // As on a terminal, where curl does not show the progress of what it prints.
        fs::write(folder.path().join(".curlrc"), "no-progress-meter\n").unwrap();
        let path = search_path();
        let mut shell = Command::new("bash")
            .args(["--norc", "--noprofile"])
            .current_dir(&folder)
            .env_clear()
            .env("PATH", &path)
            .env("HOME", folder.path())
            // `runuser` changes `HOME`.
            .env("CURL_HOME", folder.path())
            .env("NO_COLOR", "1")
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = shell.stdin.take().unwrap();
        stdin.write_all(PRELUDE.as_bytes()).unwrap();
        let replaced = [
            ("127.0.0.1:9000", minio.address.to_string()),
            ("127.0.0.1:8080", free_address().to_string()),
            ("127.0.0.1:8443", free_address().to_string()),
            ("127.0.0.1:9180", free_address().to_string()),
            ("/run/scopegate", folder.path().join("run").to_str().unwrap().to_owned()),
            ("ROOT_USER", minio.root.access_key.clone()),
            ("ROOT_PASSWORD", minio.root.secret_key.clone()),
        ];
        let terminal =
            Self { stdin, shell: Killed(shell), folder, path, replaced, shown: 0, issuer, _minio: minio };
        terminal.check_out();
        terminal
    }

    /// Puts what a page uses of a checkout into the folder of the shell, and the packages of npm.
    fn check_out(&self) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        self.write("proxy.toml", &fs::read_to_string(root.join("proxy.toml")).unwrap()).unwrap();
        for (name, target) in [("deploy", "deploy"), ("node_modules", "target/tools/node/node_modules")] {
            symlink(root.join(target), self.folder.path().join(name)).unwrap();
        }
    }

    /// Returns whether a program is installed. `root` is not a program, but the user of this process,
    /// and `node_modules/` begins a package of npm.
    pub(super) fn has(&self, program: &str) -> bool {
        if program == "root" {
            return rustix::process::getuid().is_root();
        }
        if program.starts_with("node_modules/") {
            return self.folder.path().join(program).exists();
        }
        env::split_paths(&self.path).any(|folder| folder.join(program).is_file())
    }

    /// Writes a file in the folder of the shell, with the permissions that editors give.
    pub(super) fn write(&self, name: &str, content: &str) -> Result<(), String> {
        let path = self.folder.path().join(name);
        fs::write(&path, self.replace(content)).map_err(|error| format!("{name}: {error}"))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(|error| error.to_string())
    }

    /// Runs a command and compares how it ends.
    pub(super) fn run(&mut self, text: &str, end: &End) -> Result<(), String> {
        let serve = text.starts_with(SERVE);
        let (script, printed, status) = (self.kept("script"), self.kept("printed"), self.kept("status"));
        let written = self.replace(text);
        let in_background = format!("exec {written} 2>> \"$PAGE/serve.log\" & echo $! > \"$PAGE/serve.pid\"");
        let written = if serve { in_background } else { written };
        fs::write(&script, format!("{written}\n")).unwrap();
        fs::write(&printed, "").unwrap();
        let _none_before_the_first = fs::remove_file(&status);
        // The status appears as a whole, since the file is renamed.
        let line = r#". "$PAGE/script" < /dev/null > "$PAGE/printed" 2>&1; echo $? > "$PAGE/done"; mv "$PAGE/done" "$PAGE/status""#;
        writeln!(self.stdin, "{line}").map_err(|error| format!("the shell has ended: {error}"))?;
        let code =
            wait_for(|| fs::read_to_string(&status).ok()).ok_or_else(|| format!("{text}: does not end"))?;
        let printed = self.restore(&fs::read_to_string(&printed).unwrap().replace('\r', ""));
        let lines: Vec<&str> = printed.lines().collect();
        let wrong =
            |why: &str| Err(format!("$ {text}\n{why} (exit code {})\n--- printed:\n{printed}", code.trim()));
        let may_fail = match end {
            End::Shows(output) if !shown::matches(output, &lines) => {
                let shown = output.join("\n");
                return wrong(&format!("does not print what the page shows\n--- shown:\n{shown}"));
            }
            End::Prints(part) if !printed.contains(part) => {
                return wrong(&format!("does not print {part:?}"));
            }
            End::Shows(output) => !output.is_empty(),
            End::Prints(_) => true,
            End::Succeeds => false,
        };
        if code.trim() != "0" && !may_fail {
            return wrong("fails");
        }
        if serve { self.wait_until_it_serves() } else { Ok(()) }
    }

    /// Waits for lines in the log of `scopegate serve`, in this order, after those that the page has shown.
    pub(super) fn expect_log(&mut self, lines: &[String]) -> Result<(), String> {
        let end = wait_for(|| {
            let log = self.log();
            let mut written = log.lines().enumerate().skip(self.shown);
            lines.iter().try_fold(self.shown, |_, shown| {
                written.find(|(_, line)| shown::line_matches(shown, line)).map(|(at, _)| at + 1)
            })
        });
        self.shown = end.ok_or_else(|| format!("the log has no such lines:\n{}", lines.join("\n")))?;
        Ok(())
    }

    /// Returns the log of `scopegate serve`.
    pub(super) fn log(&self) -> String {
        let log = fs::read(self.kept("serve.log")).unwrap_or_default();
        self.restore(&String::from_utf8_lossy(&log))
    }

    /// Fails the test if the log contains a password, a token, a signature or the issuer's secret key.
    pub(super) fn assert_log_without_secrets(&self) {
        let of_pages =
            ["correct horse", "battery staple", "another horse", "sgt_", "X-Amz-Signature=", "A_LONG_SECRET"];
        let of_issuer = self.issuer.as_ref().map(|issuer| ("_SECRET", &*issuer.secret_key));
        let secrets = of_pages.map(str::to_owned).into_iter().chain(secrets_in(of_issuer.as_slice()));
        assert_holds_none(&secrets.collect::<Vec<_>>(), &self.log());
    }

    fn wait_until_it_serves(&self) -> Result<(), String> {
        let config = fs::read_to_string(self.folder.path().join("proxy.toml")).unwrap_or_default();
        let count = config.lines().filter(|line| matches!(line.trim(), "[[listener]]" | "[admin]")).count();
        let serves = || (self.log().matches(": listening ").count() >= count).then_some(());
        wait_for(serves).ok_or_else(|| "scopegate serve does not listen".to_owned())
    }

    fn kept(&self, name: &str) -> PathBuf {
        self.folder.path().join(".page").join(name)
    }

    fn replace(&self, text: &str) -> String {
        self.replaced.iter().fold(text.to_owned(), |text, (word, by)| text.replace(word, by))
    }

    fn restore(&self, text: &str) -> String {
        let text = self.replaced.iter().fold(text.to_owned(), |text, (word, by)| text.replace(by, word));
        text.replace(self.folder.path().to_str().unwrap(), "~")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let id = fs::read_to_string(self.kept("serve.pid")).unwrap_or_default();
        // If it has ended, another process may have its id.
        let is_ours = |cwd: PathBuf| cwd == self.folder.path();
        if fs::read_link(format!("/proc/{}/cwd", id.trim())).is_ok_and(is_ours) {
            let _gone_meanwhile = Command::new("kill").args(["-KILL", id.trim()]).status();
        }
        self.shell.kill();
    }
}

/// Returns `PATH` with the tested binary and the programs that `cargo xtask test` installs in front.
fn search_path() -> OsString {
    let target = binary().parent().unwrap().parent().unwrap().join("tools");
    let of_minio = env::var_os("MC_BIN").and_then(|mc| Path::new(&mc).parent().map(Path::to_owned));
    let tools = [Some(target), of_minio].into_iter().flatten();
    let tools = tools.flat_map(|folder| [folder.join("clients/bin"), folder]);
    let own = std::iter::once(binary().parent().unwrap().to_owned()).chain(tools);
    let rest = env::var_os("PATH").unwrap_or_default();
    env::join_paths(own.chain(env::split_paths(&rest))).unwrap()
}

/// Returns an address that nothing else takes: below the ports that the system gives out.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() % 10_000;
    loop {
        let count = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(20_000 + (start + count) % 10_000).unwrap();
        if let Ok(bound) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return bound.local_addr().unwrap();
        }
    }
}
