//! The clients, and how each is run.

use std::env;
use std::path::{Path, PathBuf};

/// Whether requests are signed, with keys that the store does not know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signs {
    No,
    Yes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

pub(crate) type Way = (Signs, Scheme);

#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub(crate) name: &'static str,
    /// Who runs the script: a name to be found in [`folders`], or a path.
    pub(crate) program: &'static str,
    /// The program that has to be there besides.
    pub(crate) needs: &'static str,
    /// In `tests/clients`; told what to do by its one argument, and with what by its environment.
    pub(crate) script: &'static str,
    /// How it is tried. What frames a body differs with both.
    pub(crate) ways: &'static [Way],
    /// What it has to be told for it to work without keys of the store.
    pub(crate) setting: &'static str,
}

const UNSIGNED: &[Way] = &[(Signs::No, Scheme::Http), (Signs::No, Scheme::Https)];
const SIGNED: &[Way] = &[(Signs::Yes, Scheme::Http), (Signs::Yes, Scheme::Https)];
const BOTH: &[Way] = &[
    (Signs::No, Scheme::Http),
    (Signs::Yes, Scheme::Http),
    (Signs::No, Scheme::Https),
    (Signs::Yes, Scheme::Https),
];
const EACH: &[Way] = &[(Signs::No, Scheme::Http), (Signs::Yes, Scheme::Http), (Signs::No, Scheme::Https)];

/// Debian's, which is version 2 and stays what it is when another `aws` comes first in `$PATH`.
pub(crate) const DEBIANS_AWS: &str = "/usr/bin/aws";

pub(crate) const CLIENTS: &[Client] = &[
    shell(
        "curl",
        "curl",
        "curl.sh",
        UNSIGNED,
        "`-T FILE`, or `-T -` for what has no length; `?format=text` lists",
    ),
    shell("wget", "wget", "wget.sh", UNSIGNED, "`--method=PUT --body-file=FILE`; `?format=text` lists"),
    shell("AWS CLI 1", "aws", "aws.sh", EACH, "`--no-sign-request`, or any keys"),
    shell("AWS CLI 2", DEBIANS_AWS, "aws.sh", EACH, "`--no-sign-request`, or any keys"),
    python("boto3", "boto3_client.py", BOTH, "`Config(signature_version=UNSIGNED)`, or any keys"),
    shell(
        "s3cmd",
        "s3cmd",
        "s3cmd.sh",
        SIGNED,
        "any keys: it has no way not to sign; `--host-bucket` the same as `--host`",
    ),
    shell("s5cmd", "s5cmd", "s5cmd.sh", EACH, "`--no-sign-request`, or any keys"),
    shell(
        "rclone",
        "rclone",
        "rclone.sh",
        EACH,
        "`no_check_bucket = true`, else it creates the bucket; no keys, or any",
    ),
    python("minio-py", "minio_client.py", BOTH, "no keys, or any"),
    python("pyarrow", "pyarrow_client.py", BOTH, "`anonymous=True`, or any keys"),
    Client {
        program: "clients-s3fs/bin/python",
        ..python("s3fs", "s3fs_client.py", EACH, "`anon=True`, or any keys")
    },
    python(
        "DuckDB httpfs",
        "duckdb_client.py",
        EACH,
        "`URL_STYLE 'path'`; no keys, or any. It has no statement that deletes",
    ),
    shell("mc", "mc", "mc.sh", EACH, "an alias without keys (`MC_HOST_name=http://HOST`), or with any"),
];

const fn shell(
    name: &'static str,
    needs: &'static str,
    script: &'static str,
    ways: &'static [Way],
    setting: &'static str,
) -> Client {
    Client { name, program: "/bin/sh", needs, script, ways, setting }
}

const fn python(
    name: &'static str,
    script: &'static str,
    ways: &'static [Way],
    setting: &'static str,
) -> Client {
    let program = "clients/bin/python";
    Client { name, program, needs: program, script, ways, setting }
}

impl Client {
    /// Whether all of it is here.
    pub(crate) fn is_installed(&self) -> bool {
        is_installed(self.name, &[self.program, self.needs])
    }

    pub(crate) fn runner(&self) -> PathBuf {
        find(self.program).unwrap()
    }

    /// The path of what the script runs.
    pub(crate) fn needed(&self) -> PathBuf {
        find(self.needs).unwrap()
    }
}

/// Whether all that a client needs is here. Where tests must leave nothing out, one that is missing is a failure.
pub(crate) fn is_installed(name: &str, needs: &[&str]) -> bool {
    let Some(missing) = needs.iter().find(|needed| find(needed).is_none()) else { return true };
    let how =
        "`cargo xtask test` installs what PyPI, npm, Maven and Go have; `docs/testing.md` names the others";
    assert!(env::var_os("CI").is_none(), "{name}: {missing} is needed here: {how}");
    eprintln!("left out: {name}: there is no {missing} ({how})");
    false
}

/// Where clients are: what was installed for the tests, then where everything is.
pub(crate) fn folders() -> Vec<PathBuf> {
    let tools = tools();
    let mut folders = vec![tools.join("clients/bin"), tools];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    folders
}

/// `target/tools`, which holds `target/debug/deps` of this very test as well.
pub(crate) fn tools() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_scopegate"));
    binary.ancestors().nth(2).unwrap().join("tools")
}

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    // The one that the tests were given, and the one that runs them.
    match program {
        "mc" => return env::var_os("MC_BIN").map(PathBuf::from),
        "cargo" => return env::var_os("CARGO").map(PathBuf::from),
        _ => {}
    }
    folders().into_iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}
