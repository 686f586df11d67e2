//! Programs that use the proxy for their own job over plain HTTP or S3: registries, backups, resumed downloads, SDKs and
//! presigned URLs.

use crate::client::{find, folders, is_installed};
use crate::support::process::{Killed, wait_for};
use crate::world::World;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program, with the script that runs it.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// Its job in the test.
    pub(crate) does: &'static str,
    /// The settings that a user needs. The script uses the same ones.
    pub(crate) setting: &'static str,
    /// The programs and files that must be installed, as [`find`] resolves them.
    pub(crate) needs: &'static [&'static str],
    /// A script in `tests/clients/programs` with its arguments. It checks its results, and prints `done` at the end.
    pub(crate) script: &'static [&'static str],
    /// The input files that the script reads back through the program.
    pub(crate) reads: &'static [&'static str],
}

/// The Python of the environment that has the programs written in Python.
pub(crate) const PYTHON: &str = "clients-programs/bin/python";
/// The Python of the environment that has the clients written in Python.
pub(crate) const PYTHON_OF_CLIENTS: &str = "clients/bin/python";
/// The folder below a script's home for the files that it has read back.
const GOT: &str = "got-back";
pub(crate) const SMALL: &[&str] = &["small"];
const MEDIUM: &[&str] = &["medium"];
pub(crate) const BOTH: &[&str] = &["small", "medium"];

pub(crate) const PROGRAMS: &[Program] = &[
    Program {
        name: "AWS SDK for Java 2, old",
        does: "objects, parts, lists, presigned URLs used by `java.net.http`; with keys and without",
        setting: "`endpointOverride`, `pathStyleAccessEnabled(true)`, `AnonymousCredentialsProvider` or any keys",
        needs: &["java", "java/2.17.295/s3-2.17.295.jar"],
        script: &["java.sh", "2.17.295"],
        reads: BOTH,
    },
    Program {
        name: "AWS SDK for Java 2",
        does: "the same",
        setting: "the same",
        needs: &["java", "java/2.58.0/s3-2.58.0.jar"],
        script: &["java.sh", "2.58.0"],
        reads: BOTH,
    },
    Program {
        name: "AWS SDK for JavaScript 3",
        does: "objects, parts, lists; GET, PUT, part and DELETE by presigned URLs with `fetch` and curl",
        setting: "`endpoint`, `forcePathStyle: true`, any credentials",
        needs: &["node", "curl", "node/node_modules/@aws-sdk/client-s3/package.json"],
        script: &["node.sh", "aws_sdk_js3.cjs"],
        reads: BOTH,
    },
    Program {
        name: "AWS SDK for JavaScript 2",
        does: "objects; presigned URLs with a content type and a checksum, with signatures of both versions",
        setting: "`endpoint`, `s3ForcePathStyle: true`, any credentials",
        needs: &["node", "node/node_modules/aws-sdk/package.json"],
        script: &["node.sh", "aws_sdk_js2.cjs"],
        reads: SMALL,
    },
    Program {
        name: "boto3's presigned URLs",
        does: "GET, HEAD, PUT and DELETE with signatures of both versions",
        setting: "`addressing_style` `path`, any keys",
        needs: &["curl", "clients/bin/python"],
        script: &["presigned_boto3.py"],
        reads: BOTH,
    },
    Program {
        name: "docker-registry",
        does: "pushes a layer in two pieces, pulls it",
        setting: "driver `s3` with `regionendpoint`, any keys, `rootdirectory` in the scope, `secure: false` without TLS; rights `read`, `list`, `write`, `delete`",
        needs: &["docker-registry", "curl", "python3"],
        script: &["registry.sh"],
        reads: MEDIUM,
    },
    Program {
        name: "restic",
        does: "backs up, prunes, checks, restores",
        setting: "`-r s3:http://HOST/BUCKET/PREFIX`, any keys in its environment",
        needs: &["restic"],
        script: &["restic.sh"],
        reads: BOTH,
    },
    Program {
        name: "rclone",
        does: "mirrors, checks, moves, streams, purges",
        setting: "`--s3-no-check-bucket`",
        needs: &["rclone", "curl"],
        script: &["rclone.sh"],
        reads: BOTH,
    },
    Program {
        name: "s3cmd",
        does: "resumes an upload that was interrupted",
        setting: "`put --continue-put`; rights `list` and `write`",
        needs: &["s3cmd", "/usr/bin/aws"],
        script: &["s3cmd_resume.sh"],
        reads: MEDIUM,
    },
    Program {
        name: "AWS CLI, mc, rclone",
        does: "find and abort uploads that were never completed",
        setting: "`list-multipart-uploads`, `mc rm --incomplete`, `rclone cleanup`; rights `list` and `write`",
        needs: &["/usr/bin/aws", "mc", "rclone"],
        script: &["uploads_left_over.sh"],
        reads: &[],
    },
    Program {
        name: "GDAL",
        does: "reads windows of a raster through `/vsicurl/` and `/vsis3/`, writes one",
        setting: "`/vsicurl/http://HOST/…` without settings; `/vsis3/` with `AWS_S3_ENDPOINT`, `AWS_VIRTUAL_HOSTING=FALSE`, `AWS_HTTPS=NO` without TLS, and `AWS_NO_SIGN_REQUEST=YES` or any keys",
        needs: &[PYTHON, "curl"],
        script: &["gdal.py"],
        reads: &[],
    },
    Program {
        name: "fsspec over HTTP",
        does: "whole files, ranges, `ls`, `find`, `glob`",
        setting: "none",
        needs: &[PYTHON],
        script: &["fsspec_http.py"],
        reads: MEDIUM,
    },
    Program {
        name: "zarr, h5py",
        does: "read arrays over HTTP through fsspec",
        setting: "none",
        needs: &[PYTHON],
        script: &["arrays.py"],
        reads: &[],
    },
    Program {
        name: "DuckDB over HTTP",
        does: "reads parts of a Parquet file",
        setting: "none",
        needs: &["clients/bin/python", "curl"],
        script: &["duckdb_http.py"],
        reads: &[],
    },
    Program {
        name: "ffmpeg",
        does: "reads and seeks, writes MP4 and HLS",
        setting: "`-method PUT` to write; `-re` with HLS, since ffmpeg sends the next playlist before the last one is stored",
        needs: &[PYTHON, "curl"],
        script: &["ffmpeg.sh"],
        reads: &[],
    },
    Program {
        name: "Chromium",
        does: "shows a static site whose links have `?v=`, seeks in a video",
        setting: "a scope with `index`",
        needs: &["chromium", PYTHON, "curl"],
        script: &["chromium.sh"],
        reads: SMALL,
    },
    Program {
        name: "curl",
        does: "resumes a download",
        setting: "`-C -`; resumed uploads are refused, since S3 has none",
        needs: &["curl"],
        script: &["resume.sh", "curl"],
        reads: MEDIUM,
    },
    Program {
        name: "wget",
        does: "resumes a download, downloads only what has changed",
        setting: "`-c`, `-N`",
        needs: &["wget", "curl"],
        script: &["resume.sh", "wget"],
        reads: MEDIUM,
    },
    Program {
        name: "aria2",
        does: "downloads over four connections, resumes a download",
        setting: "`-x 4`, `-c`",
        needs: &["aria2c", "curl"],
        script: &["resume.sh", "aria2"],
        reads: MEDIUM,
    },
    Program {
        name: "wget, recursively",
        does: "mirrors a folder from its list",
        setting: "`-r -np -e robots=off`, and the folder's trailing slash",
        needs: &["wget", "rclone"],
        script: &["lists.sh", "wget"],
        reads: SMALL,
    },
    Program {
        name: "lftp",
        does: "mirrors a folder from its list, puts, gets in parts, removes",
        setting: "none for reading; `set http:use-mkcol no` before `mirror -R`",
        needs: &["lftp", "rclone"],
        script: &["lists.sh", "lftp"],
        reads: SMALL,
    },
    Program {
        name: "rclone over HTTP",
        does: "copies a folder from its list",
        setting: "`--http-url`, and the folder's trailing slash",
        needs: &["rclone"],
        script: &["lists.sh", "rclone"],
        reads: SMALL,
    },
    Program {
        name: "git",
        does: "clones and pulls a bare repository",
        setting: "`git update-server-info` before the repository is uploaded",
        needs: &["git", "curl"],
        script: &["git.sh"],
        reads: BOTH,
    },
    Program {
        name: "apt",
        does: "reads a repository's index, downloads a package",
        setting: "an entry in `sources.list`",
        needs: &["apt-get", "dpkg-deb", "curl"],
        script: &["apt.sh"],
        reads: MEDIUM,
    },
    Program {
        name: "pip",
        does: "installs from an index and from the links in a folder's list",
        setting: "`--index-url` with a scope that has `index`; `--find-links` with any",
        needs: &["clients/bin/python", "curl"],
        script: &["pip.sh"],
        reads: SMALL,
    },
    Program {
        name: "npm",
        does: "installs from a registry of static files",
        setting: "`--registry`",
        needs: &["npm", "curl", "openssl"],
        script: &["npm.sh"],
        reads: SMALL,
    },
    Program {
        name: "cargo",
        does: "fetches from a sparse registry",
        setting: "`index = \"sparse+http://…/\"`",
        needs: &["cargo", "curl"],
        script: &["cargo.sh"],
        reads: SMALL,
    },
];

impl Program {
    pub(crate) fn is_installed(&self) -> bool {
        is_installed(self.name, self.needs)
    }

    /// Returns the name of the script's home and of its folder in the store.
    pub(crate) fn label(&self) -> String {
        self.script.join("-").replace(['.', '/'], "-").trim_start_matches('-').to_owned()
    }
}

/// Runs a program's script.
///
/// # Errors
/// What the script printed, if it failed, did not end, or read back other bytes than it had stored.
pub(crate) fn run(world: &World, program: &Program) -> Result<(), String> {
    let mut command = command(world, program);
    command.stdin(Stdio::null());
    finish(world, program, command)
}

/// Runs the command of a program's script to its end, and checks the results.
///
/// # Errors
/// As [`run`].
pub(crate) fn finish(world: &World, program: &Program, mut command: Command) -> Result<(), String> {
    let home = world.path(&program.label());
    let (out, log) = (home.join("stdout"), home.join("stderr"));
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&log).unwrap());
    let mut child = Killed(command.spawn().unwrap());
    let status = (0..4).find_map(|_| wait_for(|| child.0.try_wait().unwrap()));
    let printed = || {
        let all = [fs::read(&out).unwrap(), fs::read(&log).unwrap()].concat();
        String::from_utf8_lossy(&all[all.len().saturating_sub(1500)..]).into_owned()
    };
    match status {
        None => return Err(format!("{}: did not end: {}", program.name, printed())),
        Some(status) if !status.success() => {
            return Err(format!("{}: {status}: {}", program.name, printed()));
        }
        Some(_) => {}
    }
    if fs::read_to_string(&out).unwrap().lines().last() != Some("done") {
        return Err(format!("{}: its script did not print `done`: {}", program.name, printed()));
    }
    let differs =
        |name: &&&str| fs::read(home.join(GOT).join(name)).ok() != Some(fs::read(world.path(name)).unwrap());
    match program.reads.iter().find(differs) {
        Some(name) => {
            Err(format!("{}: {name} was not read back with the bytes that were stored", program.name))
        }
        None => Ok(()),
    }
}

/// Returns the command that runs a program's script, with a home of its own and what it needs in its environment.
/// `timeout` ends the script together with everything it started.
pub(crate) fn command(world: &World, program: &Program) -> Command {
    let [script, arguments @ ..] = program.script else { unreachable!("{} has no script", program.name) };
    let home = world.path(&program.label());
    let got = home.join(GOT);
    fs::create_dir_all(&got).unwrap();
    let is_python = Path::new(script).extension().is_some_and(|extension| extension == "py");
    let python =
        program.needs.iter().find(|needed| needed.ends_with("bin/python")).map(|path| find(path).unwrap());
    let shell = PathBuf::from("/bin/sh");
    let mut path: Vec<PathBuf> = python.iter().map(|python| python.parent().unwrap().to_owned()).collect();
    path.extend(folders());
    let folder = format!("{}/", program.label());
    let at = |name: &str| format!("{}{folder}", world.url(name));
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", "180"])
        .arg(python.filter(|_| is_python).unwrap_or(shell))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/programs").join(script))
        .args(arguments)
        .current_dir(&home)
        .env_clear()
        .envs([
            ("PATH", std::env::join_paths(path).unwrap()),
            ("HOME", home.as_path().into()),
            ("GOT", got.into()),
            ("LANG", "C.UTF-8".into()),
        ])
        .envs([("SMALL", world.path("small")), ("MEDIUM", world.path("medium"))])
        .envs([("BASE", at("all")), ("SITE", at("site")), ("PREFIX", format!("inbox/{folder}"))])
        .env("ENDPOINT", format!("http://{}", world.proxy.address("all")))
        .env("TOOLS", crate::client::tools())
        // SDKs without keys would ask the metadata service of a cloud for some.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        // Python's caches beside the scripts would be files of the repository.
        .env("PYTHONDONTWRITEBYTECODE", "1");
    for (name, wanted) in [("MC", "mc"), ("CARGO", "cargo")] {
        if let Some(found) = find(wanted) {
            command.env(name, found);
        }
    }
    command
}

#[test]
fn detects_a_program_that_does_nothing() {
    let world = World::start();
    let idle = Program { script: &["../idle.sh"], ..PROGRAMS[0] };
    assert!(run(&world, &idle).unwrap_err().contains("did not print `done`"));
    let forgetful = Program { script: &["../done.sh"], ..PROGRAMS[0] };
    assert!(run(&world, &forgetful).unwrap_err().contains("was not read back"));
}
