//! Runs one client through all steps, and compares the store with what it should hold afterwards.

use crate::client::{Client, DEBIANS_AWS, Scheme, Signs, Way, folders};
use crate::support::keys::Keys;
use crate::support::process::{Killed, wait_for};
use crate::world::{HELLO, MANY, World};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// The exit code of a script whose client does not support the step.
const UNSUPPORTED: i32 = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Get,
    Put,
    Large,
    List,
    Delete,
}

impl Step {
    pub(crate) const ALL: [Self; 5] = [Self::Get, Self::Put, Self::Large, Self::List, Self::Delete];

    fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Large => "large",
            Self::List => "list",
            Self::Delete => "delete",
        }
    }
}

/// The results of one client in one of its ways.
pub(crate) struct Row {
    pub(crate) client: Client,
    pub(crate) way: Way,
    /// Whether each step worked; `None` where the client does not support it.
    pub(crate) cells: Vec<Option<bool>>,
    pub(crate) failures: Vec<String>,
}

/// Runs all steps of a client.
pub(crate) fn run_steps(world: &World, client: &Client, way: Way) -> Row {
    let mut row = Row { client: *client, way, cells: Vec::new(), failures: Vec::new() };
    let home = world.folder.path().join(label(client, way));
    fs::create_dir(&home).unwrap();
    for step in Step::ALL {
        let cell = match run_step(world, client, way, step, &home) {
            Ok(done) => done.then_some(true),
            Err(why) => {
                row.failures.push(format!("{} {}: {why}", label(client, way), step.name()));
                Some(false)
            }
        };
        row.cells.push(cell);
    }
    row
}

/// Returns a name for the client and its way, which is also the folder of its objects.
fn label(client: &Client, (signs, scheme): Way) -> String {
    let signs = match signs {
        Signs::No => "unsigned",
        Signs::Yes => "signed",
        Signs::Local => "identified",
    };
    let scheme = if scheme == Scheme::Http { "http" } else { "https" };
    format!("{}-{signs}-{scheme}", client.name.replace(' ', "-").to_lowercase())
}

/// Runs one step. Returns `false` where the client does not support it.
fn run_step(world: &World, client: &Client, way: Way, step: Step, home: &Path) -> Result<bool, String> {
    let prefix = format!("inbox/{}/", label(client, way));
    let (out, log) = (home.join("stdout"), home.join("stderr"));
    let child = command(world, client, way, &prefix, home)
        .arg(step.name())
        .stdin(Stdio::null())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    let status = wait_for(|| child.0.try_wait().unwrap());
    let printed = || {
        let all = fs::read(&log).unwrap();
        // The end of a traceback names the error.
        String::from_utf8_lossy(&all[all.len().saturating_sub(600)..]).into_owned()
    };
    match status {
        None => return Err(format!("did not end: {}", printed())),
        Some(status) if status.code() == Some(UNSUPPORTED) => return Ok(false),
        Some(status) if !status.success() => return Err(format!("{status}: {}", printed())),
        Some(_) => {}
    }
    check(world, step, &prefix, &home.join("got"), &out).map(|()| true)
}

fn command(world: &World, client: &Client, (signs, scheme): Way, prefix: &str, home: &Path) -> Command {
    let mut command = Command::new(client.runner());
    let path = std::env::join_paths(folders()).unwrap();
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(client.script))
        .env_clear()
        .envs([("PATH", path), ("HOME", home.into()), ("LANG", "C.UTF-8".into())])
        .envs([("CA", world.authority.path()), ("SSL_CERT_FILE", world.authority.path())])
        .envs([("SMALL", world.path("small")), ("LARGE", world.path("large")), ("OUT", home.join("got"))])
        .envs([("ENDPOINT", &*world.endpoint(signs, scheme)), ("PREFIX", prefix)])
        .env("CLIENT", client.needed())
        // SDKs without keys would ask the metadata service of a cloud for some.
        .env("AWS_EC2_METADATA_DISABLED", "true");
    match signs {
        Signs::No => command.env("KEYS", "none"),
        Signs::Yes => {
            let key = "anyanyany";
            command.envs([("KEYS", "dummy"), ("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", key)])
        }
        Signs::Local => {
            let Keys { access_key, secret_key, .. } = &world.key;
            let keys = [("AWS_ACCESS_KEY_ID", &**access_key), ("AWS_SECRET_ACCESS_KEY", secret_key)];
            command.env("KEYS", "local").envs(keys)
        }
    };
    if client.needed() == Path::new(DEBIANS_AWS) {
        // It starts through `env python3`, and needs the Python that has Debian's modules.
        command.env("PATH", "/usr/bin:/bin");
    }
    command
}

/// Checks that the step had its effect on the store, or on the client.
fn check(world: &World, step: Step, prefix: &str, got: &Path, out: &Path) -> Result<(), String> {
    let holds = |key: &str, content: &[u8]| {
        let stored = world.stored(&format!("{prefix}{key}"));
        if stored.status() == 200 && stored.body == content {
            return Ok(());
        }
        Err(format!("the store answers {} with {} bytes for {key}", stored.status(), stored.body.len()))
    };
    match step {
        Step::Get if fs::read(got).is_ok_and(|content| content == HELLO) => Ok(()),
        Step::Get => Err("the downloaded file differs from the object".to_owned()),
        Step::Put => holds("small", &world.small),
        Step::Large => holds("large", &world.large),
        Step::List => match keys_in(&fs::read_to_string(out).unwrap()).len() {
            MANY => Ok(()),
            other => Err(format!("listed {other} keys, expected {MANY}")),
        },
        Step::Delete => match world.stored(&format!("{prefix}small")).status() {
            404 if world.stored(&format!("{prefix}large")).status() == 200 => Ok(()),
            404 => Err("`large` is gone as well, or was never stored".to_owned()),
            other => Err(format!("the store answers {other} for the deleted key, expected 404")),
        },
    }
}

/// Returns the keys in the output of any client. Each client prints one key at the end of a line.
fn keys_in(list: &str) -> BTreeSet<&str> {
    let names = list.lines().filter_map(|line| line.trim_end().rsplit(['/', ' ', '\t']).next());
    names.filter(|name| name.len() == 5 && name.starts_with('k')).collect()
}
