//! The proxies that are compared, and how each one is started.

use super::certificates::{Certificates, KeyKind};
use super::child::{Tree, on_core};
use super::configs::{self, Behind, Buffers, Listen, Mode};
use super::load::{Connection, Endpoint, Exchange, Request, on_this_thread};
use super::programs::Programs;
use crate::proc;
use crate::support::http;
use crate::support::keys::Keys;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a proxy may take to its first response.
const PATIENCE: Duration = Duration::from_secs(20);

/// One proxy in one configuration: a row of the tables.
#[derive(Clone)]
pub(crate) struct Variant {
    pub(crate) name: String,
    /// Empty for direct access.
    program: PathBuf,
    kind: Kind,
    /// The key of its certificate, if it speaks TLS.
    tls: Option<KeyKind>,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Nginx(Buffers),
    /// Passes on requests that its clients have signed.
    NginxSigned(Buffers),
    Haproxy,
    /// Relays bytes.
    HaproxyTcp,
    Envoy {
        signing: bool,
    },
    Scopegate {
        access_log: bool,
    },
    /// No proxy.
    Direct,
}

/// The baseline of most tables.
pub(crate) const NGINX: &str = "nginx";
/// The baseline for bodies.
pub(crate) const NGINX_LARGE: &str = "nginx, 64 KiB buffers";

/// The nginx before the store, which accepts only requests signed for its own name.
pub(crate) const NGINX_SIGNED: &str = "nginx, passing signed requests";
/// The same with the buffers for bodies.
pub(crate) const NGINX_SIGNED_LARGE: &str = "nginx, 64 KiB buffers, passing signed requests";

/// The cost of any hop.
pub(crate) const TCP_RELAY: &str = "HAProxy, relaying TCP alone";

/// Direct access to the origin or the store.
pub(crate) const NO_PROXY: &str = "no proxy";

/// All variants.
#[derive(Clone)]
pub(crate) struct Variants(Vec<Variant>);

impl Variants {
    /// Returns the variants of the installed programs, of `scopegate` and of further builds of it.
    pub(crate) fn of(programs: &Programs, scopegate: &Path, also: &[(String, PathBuf)]) -> Self {
        let row = Variant::new;
        let (nginx, haproxy) = (&programs.nginx, &programs.haproxy);
        let mut rows = vec![
            row(NO_PROXY, Path::new(""), Kind::Direct),
            row(NGINX, nginx, Kind::Nginx(Buffers::Default)),
            row(NGINX_LARGE, nginx, Kind::Nginx(Buffers::Large)),
            row(NGINX_SIGNED, nginx, Kind::NginxSigned(Buffers::Default)),
            row(NGINX_SIGNED_LARGE, nginx, Kind::NginxSigned(Buffers::Large)),
            row(TCP_RELAY, haproxy, Kind::HaproxyTcp),
            row("HAProxy", haproxy, Kind::Haproxy),
        ];
        if let Ok(envoy) = &programs.envoy {
            rows.push(row("Envoy", envoy, Kind::Envoy { signing: false }));
            rows.push(row("Envoy, signing", envoy, Kind::Envoy { signing: true }));
        }
        rows.push(Variant::scopegate("Scopegate", scopegate, false));
        rows.push(Variant::scopegate("Scopegate, access log", scopegate, true));
        rows.extend(
            also.iter()
                .map(|(name, binary)| Variant::scopegate(&format!("Scopegate: {name}"), binary, false)),
        );
        Self(rows)
    }

    /// Returns the variants for small objects, for which nginx's buffers make no difference.
    pub(crate) fn small(&self) -> Vec<Variant> {
        self.without(|kind| *kind == Kind::Nginx(Buffers::Large))
    }

    /// Returns the variants for large objects, for which a log line makes no difference.
    pub(crate) fn large(&self) -> Vec<Variant> {
        self.without(|kind| matches!(kind, Kind::Scopegate { access_log: true } | Kind::Direct))
    }

    /// Returns the variants for memory and start: one configuration of each program.
    pub(crate) fn distinct(&self) -> Vec<Variant> {
        self.without(|kind| {
            let logs = matches!(kind, Kind::Scopegate { access_log: true });
            logs || matches!(kind, Kind::Direct | Kind::Nginx(Buffers::Large))
        })
    }

    /// Returns the variants for many simultaneous transfers. With its default buffers, nginx would fill the disk.
    pub(crate) fn streaming(&self) -> Vec<Variant> {
        self.without(|kind| {
            let logs = matches!(kind, Kind::Scopegate { access_log: true });
            logs || matches!(kind, Kind::Direct | Kind::Nginx(Buffers::Default))
        })
    }

    /// Returns the variants for the real store, which accepts only signed requests, with nginx's buffers of this size.
    pub(crate) fn signing(&self, buffers: Buffers) -> Vec<Variant> {
        let signed = |kind: &Kind| match kind {
            Kind::Envoy { signing } => *signing,
            Kind::Scopegate { access_log } => !access_log,
            Kind::NginxSigned(size) => *size == buffers,
            Kind::Direct | Kind::HaproxyTcp => true,
            Kind::Nginx(_) | Kind::Haproxy => false,
        };
        self.0.iter().filter(|variant| signed(&variant.kind)).cloned().collect()
    }

    /// Returns the variants that speak TLS, with nginx's buffers of one kind or of both.
    pub(crate) fn over_tls(&self, buffers: &[Buffers]) -> Vec<Variant> {
        let speaks = |kind: &Kind| match kind {
            Kind::Nginx(size) => buffers.contains(size),
            Kind::Scopegate { access_log } => !access_log,
            Kind::Haproxy => true,
            Kind::NginxSigned(_) | Kind::HaproxyTcp | Kind::Envoy { .. } | Kind::Direct => false,
        };
        let some = self.0.iter().filter(|variant| speaks(&variant.kind));
        some.map(|variant| variant.with_key(KeyKind::Ecdsa)).collect()
    }

    /// Returns the policy of Scopegate's session for reads, as `scopegate explain` prints it.
    ///
    /// # Errors
    /// `scopegate explain` fails or prints none.
    pub(crate) fn policy(&self, store: SocketAddr) -> Result<String, String> {
        let measured = self.0.iter().find(|variant| matches!(variant.kind, Kind::Scopegate { .. }));
        let folder = TempDir::new().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
        let config = folder.path().join("proxy.toml");
        let behind = Behind { store, sts: store };
        let listen = Listen { address: SocketAddr::from(([127, 0, 0, 1], 0)), tls: None };
        fs::write(&config, configs::scopegate(listen, &behind, false))
            .map_err(|error| format!("{}: {error}", config.display()))?;
        let output =
            Command::new(&measured.ok_or("no scopegate is measured whose policy could be used")?.program)
                .args(["explain", "--mapping", "bench", "--policy", "--config"])
                .arg(&config)
                .env("SCOPEGATE_ACCESS_KEY", "explained")
                .env("SCOPEGATE_SECRET_KEY", "explained")
                .output()
                .map_err(|error| format!("cannot start scopegate explain: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        // The policy of another session may follow.
        let of_reads = said.split("policy of the session ").find(|text| text.starts_with("get "));
        let policy = of_reads.and_then(|text| text.get(text.find('{')?..=text.rfind('}')?));
        policy.map(str::to_owned).ok_or_else(|| {
            format!("scopegate explain printed no policy: {said}{}", String::from_utf8_lossy(&output.stderr))
        })
    }

    fn without(&self, out: impl Fn(&Kind) -> bool) -> Vec<Variant> {
        let is_out = |kind: &Kind| matches!(kind, Kind::NginxSigned(_) | Kind::HaproxyTcp) || out(kind);
        self.0.iter().filter(|variant| !is_out(&variant.kind)).cloned().collect()
    }
}

/// What all variants are started with.
pub(crate) struct Setup<'a> {
    pub(crate) behind: Behind,
    /// The keys that Scopegate mints sessions with.
    pub(crate) issuer: Keys,
    /// A session for proxies that cannot mint one.
    pub(crate) session: Keys,
    pub(crate) certificates: &'a Certificates,
    pub(crate) core: usize,
}

/// A proxy that runs until this is dropped.
pub(crate) struct Running {
    pub(crate) variant: Variant,
    pub(crate) address: SocketAddr,
    /// The time from its start to its first response.
    pub(crate) first_response: Duration,
    /// Absent for direct access.
    pub(crate) tree: Option<Tree>,
    _folder: Option<TempDir>,
}

impl Running {
    /// Returns the URL of a target.
    pub(crate) fn url(&self, target: &str) -> String {
        let scheme = if self.variant.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{target}", self.address)
    }

    /// Returns the proxy for clients that resume no sessions.
    pub(crate) fn endpoint(&self) -> Endpoint {
        match self.variant.tls {
            Some(_) => Endpoint::tls(self.address, Exchange::X25519),
            None => Endpoint::plain(self.address),
        }
    }

    /// Returns the CPU time until now, or nothing for direct access.
    ///
    /// # Errors
    /// The proxy has ended.
    pub(crate) fn cpu(&self) -> Result<Option<Duration>, String> {
        self.tree.as_ref().map(Tree::cpu).transpose()
    }

    /// Returns the CPU time since an earlier one.
    ///
    /// # Errors
    /// The proxy has ended.
    pub(crate) fn cpu_since(&self, before: Option<Duration>) -> Result<Option<Duration>, String> {
        Ok(before.zip(self.cpu()?).map(|(before, now)| now.saturating_sub(before)))
    }
}

impl Variant {
    fn new(name: &str, program: &Path, kind: Kind) -> Self {
        Self { name: name.to_owned(), program: program.to_owned(), kind, tls: None }
    }

    /// Returns a build of Scopegate, which writes an access log or none.
    pub(crate) fn scopegate(name: &str, program: &Path, access_log: bool) -> Self {
        Self::new(name, program, Kind::Scopegate { access_log })
    }

    /// Reports whether clients have to sign their requests.
    pub(crate) fn passes_signed(&self) -> bool {
        matches!(self.kind, Kind::NginxSigned(_) | Kind::HaproxyTcp | Kind::Direct)
    }

    /// Returns the same proxy with TLS and a certificate of this kind.
    pub(crate) fn with_key(&self, key: KeyKind) -> Self {
        Self { tls: Some(key), ..self.clone() }
    }

    /// Returns the same proxy without TLS.
    pub(crate) fn without_tls(&self) -> Self {
        Self { tls: None, ..self.clone() }
    }

    /// Starts the proxy and waits for its first response to a GET of `target`.
    ///
    /// # Errors
    /// When the proxy does not start. The message contains its stderr.
    pub(crate) fn start(&self, setup: &Setup<'_>, target: &str) -> Result<Running, String> {
        if self.kind == Kind::Direct {
            let (variant, address) = (self.clone(), setup.behind.store);
            return Ok(Running {
                variant,
                address,
                first_response: Duration::ZERO,
                tree: None,
                _folder: None,
            });
        }
        let failed = |error: String| format!("{}: {error}", self.name);
        let folder = TempDir::new().map_err(|error| failed(error.to_string()))?;
        let address = free_address().map_err(|error| failed(error.to_string()))?;
        let stderr = folder.path().join("stderr");
        let listen = Listen { address, tls: self.tls.map(|key| setup.certificates.of(key)) };
        let (mut command, log) = self.command(setup, listen, folder.path()).map_err(failed)?;
        let log = File::create(if log { &stderr } else { Path::new("/dev/null") });
        command.stderr(log.map_err(|error| failed(error.to_string()))?);
        let started = Instant::now();
        let mut tree = Tree::start(command).map_err(failed)?;
        let status = if self.passes_signed() { 403 } else { 200 };
        let answered = match self.tls {
            Some(_) => first_exchange(&mut tree, &Endpoint::tls(address, Exchange::X25519), target),
            None => first_response(&mut tree, address, target, status),
        };
        let first_response = started.elapsed();
        if let Err(error) = answered {
            let said = fs::read_to_string(&stderr).unwrap_or_default();
            return Err(failed(format!("{error}\n{}", said.lines().take(20).collect::<Vec<_>>().join("\n"))));
        }
        tree.find_children();
        Ok(Running {
            variant: self.clone(),
            address,
            first_response,
            tree: Some(tree),
            _folder: Some(folder),
        })
    }

    /// Returns the command, and whether its stderr is kept for error messages.
    fn command(
        &self,
        setup: &Setup<'_>,
        listen: Listen<'_>,
        folder: &Path,
    ) -> Result<(Command, bool), String> {
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map(|()| path).map_err(|error| error.to_string())
        };
        let behind = &setup.behind;
        let mut command = on_core(setup.core, &self.program);
        match &self.kind {
            Kind::Nginx(buffers) | Kind::NginxSigned(buffers) => {
                let host = match &self.kind {
                    Kind::Nginx(_) => "",
                    _ => "proxy_set_header Host $http_host;",
                };
                let config = configs::nginx(listen, behind, *buffers, host, folder, proc::runs_as_root());
                command.args(["-e", "stderr", "-c"]).arg(file("nginx.conf", &config)?).arg("-p").arg(folder);
                Ok((command, true))
            }
            Kind::Haproxy | Kind::HaproxyTcp => {
                let mode = if self.kind == Kind::Haproxy { Mode::Http } else { Mode::Tcp };
                command
                    .arg("-db")
                    .arg("-f")
                    .arg(file("haproxy.cfg", &configs::haproxy(listen, behind, mode))?);
                Ok((command, true))
            }
            Kind::Envoy { signing } => {
                let config = configs::envoy(listen.address, behind, *signing);
                command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"]);
                command.arg(file("envoy.yaml", &config)?);
                command.env("AWS_ACCESS_KEY_ID", &setup.session.access_key);
                command.env("AWS_SECRET_ACCESS_KEY", &setup.session.secret_key);
                command.env("AWS_SESSION_TOKEN", setup.session.token.as_deref().unwrap_or_default());
                Ok((command, true))
            }
            Kind::Scopegate { access_log } => {
                let config = configs::scopegate(listen, behind, *access_log);
                command.args(["serve", "--config"]).arg(file("proxy.toml", &config)?);
                command.env("SCOPEGATE_ACCESS_KEY", &setup.issuer.access_key);
                command.env("SCOPEGATE_SECRET_KEY", &setup.issuer.secret_key);
                // The access log goes to /dev/null: the cost of a file or a reader is not the proxy's.
                Ok((command, !*access_log))
            }
            Kind::Direct => Err("there is nothing to start".to_owned()),
        }
    }
}

/// Sends requests without TLS until one is answered with this status.
fn first_response(tree: &mut Tree, address: SocketAddr, target: &str, status: u16) -> Result<(), String> {
    until_ready(tree, || match http::get(address, target) {
        Ok(answer) if answer.status() == status => Ok(()),
        Ok(answer) => Err(format!("it answered {}: {}", answer.status(), answer.text())),
        Err(error) => Err(error.to_string()),
    })
}

/// Sends requests with TLS until one is answered with a 200.
fn first_exchange(tree: &mut Tree, endpoint: &Endpoint, target: &str) -> Result<(), String> {
    let request = Request::get(target);
    let once =
        async || Connection::open(endpoint, 16 << 10).await?.exchange(&request).await.map(|_length| ());
    until_ready(tree, || on_this_thread(once()))
}

/// Tries until the proxy responds as it should, ends, or takes too long.
fn until_ready(tree: &mut Tree, mut attempt: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    let start = Instant::now();
    let mut last = "it does not listen".to_owned();
    while start.elapsed() < PATIENCE {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(why) => last = why,
        }
        if tree.has_ended() {
            return Err("it exited before its first response".to_owned());
        }
        thread::sleep(Duration::from_micros(500));
    }
    Err(last)
}

/// Returns an address that is free at this moment.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
