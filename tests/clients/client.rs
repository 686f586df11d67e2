//! The clients under test, and how to run each.

use std::env;
use std::path::{Path, PathBuf};

/// Whether a client signs its requests, with keys that the store does not know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signs {
    No,
    /// With meaningless keys.
    Yes,
    /// With an access key that Scopegate verifies.
    Local,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

pub(crate) type Way = (Signs, Scheme);

/// An S3 client, with the script that runs it.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub(crate) name: &'static str,
    /// The interpreter of the script: a path, or a name that [`find`] resolves.
    pub(crate) program: &'static str,
    /// The program that the script runs.
    pub(crate) needs: &'static str,
    /// A script in `tests/clients`. Its one argument is the step to do, its environment holds the inputs.
    pub(crate) script: &'static str,
    /// The combinations to try, since clients frame bodies differently in each.
    pub(crate) ways: &'static [Way],
    /// The settings that a user needs, for `docs/clients.md`.
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

/// Debian's AWS CLI, which is version 2. The path is absolute because version 1 comes first in `$PATH`.
pub(crate) const DEBIANS_AWS: &str = "/usr/bin/aws";

pub(crate) const CLIENTS: &[Client] = &[
    shell(
        "curl",
        "curl",
        "curl.sh",
        UNSIGNED,
        "`-T FILE`, or `-T -` for input of unknown length; `?format=text` for lists",
    ),
    shell("wget", "wget", "wget.sh", UNSIGNED, "`--method=PUT --body-file=FILE`; `?format=text` for lists"),
    shell("AWS CLI 1", "aws", "aws.sh", EACH, "`--no-sign-request`, or any keys"),
    shell("AWS CLI 2", DEBIANS_AWS, "aws.sh", EACH, "`--no-sign-request`, or any keys"),
    python("boto3", "boto3_client.py", BOTH, "`Config(signature_version=UNSIGNED)`, or any keys"),
    shell(
        "s3cmd",
        "s3cmd",
        "s3cmd.sh",
        SIGNED,
        "any keys, since it always signs; `--host-bucket` equal to `--host`",
    ),
    shell("s5cmd", "s5cmd", "s5cmd.sh", EACH, "`--no-sign-request`, or any keys"),
    shell(
        "rclone",
        "rclone",
        "rclone.sh",
        EACH,
        "`no_check_bucket = true`, or it tries to create the bucket; no keys, or any",
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
        "`URL_STYLE 'path'`; no keys, or any. DuckDB cannot delete",
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
    /// Checks whether everything that the client needs is installed.
    pub(crate) fn is_installed(&self) -> bool {
        is_installed(self.name, &[self.program, self.needs])
    }

    /// Returns the path of the script's interpreter.
    pub(crate) fn runner(&self) -> PathBuf {
        find(self.program).unwrap()
    }

    /// Returns the path of the program that the script runs.
    pub(crate) fn needed(&self) -> PathBuf {
        find(self.needs).unwrap()
    }
}

/// Checks whether everything that a client needs is installed. Under `CI`, a missing program fails the test.
pub(crate) fn is_installed(name: &str, needs: &[&str]) -> bool {
    let Some(missing) = needs.iter().find(|needed| find(needed).is_none()) else { return true };
    let how = "`cargo xtask test` installs packages of PyPI, npm, Maven and Go; `docs/testing.md` lists the Debian packages";
    assert!(env::var_os("CI").is_none(), "{name} cannot be tested: {missing} is not installed ({how})");
    eprintln!("not tested: {name}: {missing} is not installed ({how})");
    false
}

/// Returns the folders to search for programs: those installed for the tests, then `$PATH`.
pub(crate) fn folders() -> Vec<PathBuf> {
    let tools = tools();
    let mut folders = vec![tools.join("clients/bin"), tools];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    folders
}

/// Returns `target/tools` of the target folder that this test was built in.
pub(crate) fn tools() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_scopegate"));
    binary.ancestors().nth(2).unwrap().join("tools")
}

/// Returns the path of a program, or of a file in one of the [`folders`].
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    // Tests use the given `mc`, and the `cargo` that runs them.
    match program {
        "mc" => return env::var_os("MC_BIN").map(PathBuf::from),
        "cargo" => return env::var_os("CARGO").map(PathBuf::from),
        _ => {}
    }
    folders().into_iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}
