//! Viewers that run in a browser on a page of another origin, which `[mapping.cors]` exists for. Each must be able to read
//! its objects if the origin is listed, and must fail if it is not.

use crate::access_log::field;
use crate::programs::{self, Program};
use crate::support::process::wait_for;
use crate::world::World;
use std::os::fd::OwnedFd;
use std::process::Stdio;

/// A program that runs in a browser.
pub(crate) struct Viewer {
    pub(crate) program: Program,
    /// The objects that it reads in ranges.
    ranges: &'static [&'static str],
}

const ORIGINS: &str = "`[mapping.cors]` with the page's origin in `origins`";

pub(crate) const VIEWERS: &[Viewer] = &[
    Viewer {
        program: Program {
            name: "pdf.js",
            does: "reads the text of one page of a PDF, in ranges, on a web page of another origin",
            setting: ORIGINS,
            needs: &viewer_needs("node/node_modules/pdfjs-dist/package.json"),
            script: &["viewer.py", "pdf"],
            reads: &[],
        },
        ranges: &["document.pdf"],
    },
    Viewer {
        program: Program {
            name: "hls.js",
            does: "plays HLS from segments, and from ranges of one file; likewise on another origin",
            setting: "the same",
            needs: &viewer_needs("node/node_modules/hls.js/package.json"),
            script: &["viewer.py", "hls"],
            reads: &[],
        },
        ranges: &["ranges.ts"],
    },
    Viewer {
        program: Program {
            name: "geotiff.js",
            does: "reads a window of a cloud-optimised GeoTIFF; likewise on another origin",
            setting: "the same",
            needs: &viewer_needs("node/node_modules/geotiff/package.json"),
            script: &["viewer.py", "cog"],
            reads: &[],
        },
        ranges: &["numbers.tif"],
    },
    Viewer {
        program: Program {
            name: "AWS SDK for JavaScript 3 in a browser",
            does: "objects, parts, a list, a presigned GET; likewise on another origin",
            setting: "`[mapping.cors]` with `methods = [\"GET\", \"HEAD\", \"PUT\", \"POST\", \"DELETE\"]`; any credentials",
            needs: &viewer_needs("node/node_modules/@aws-sdk/client-s3/package.json"),
            script: &["viewer.py", "sdk"],
            reads: programs::BOTH,
        },
        ranges: &[],
    },
];

const fn viewer_needs(package: &'static str) -> [&'static str; 5] {
    [package, "chromium", "node", "node/node_modules/esbuild-wasm/package.json", programs::PYTHON]
}

/// Runs a viewer, and checks in the access log that it read ranges and that the other origin was refused.
///
/// # Errors
/// What went wrong, with what the script printed.
pub(crate) fn run(world: &World, viewer: &Viewer) -> Result<(), String> {
    let program = &viewer.program;
    let folder = format!("{}/", program.label());
    let socket = world.page_socket(program.name).try_clone().unwrap();
    let mut command = programs::command(world, program);
    command.stdin(Stdio::from(OwnedFd::from(socket)));
    command.env("VIEWER", world.url("viewer") + &folder);
    command.env("APP", format!("http://{}", world.proxy.address("app")));
    programs::finish(world, program, command)?;
    let path = format!("/tmp/inbox/{folder}");
    // The proxy writes its log on another thread, so the last lines can arrive after the script has ended.
    let mut checked = Ok(());
    wait_for(|| {
        checked = check_log(&world.proxy.stderr(), &path, viewer);
        checked.is_ok().then_some(())
    });
    checked
}

/// Checks that the log shows the ranges, and the refusal of the other origin.
fn check_log(log: &str, folder: &str, viewer: &Viewer) -> Result<(), String> {
    let name = viewer.program.name;
    let of_viewer = || log.lines().filter(|line| field(line, "path").starts_with(folder));
    let is_range_of = |line: &str, object: &str| {
        field(line, "path").strip_prefix(folder) == Some(object) && field(line, "status") == "206"
    };
    for object in viewer.ranges {
        if !of_viewer().any(|line| is_range_of(line, object)) {
            return Err(format!("{name}: the access log has no range of {object} with status 206"));
        }
    }
    if !of_viewer().any(|line| field(line, "rule") == "cross-site") {
        return Err(format!("{name}: the access log has no refusal of the origin that is not listed"));
    }
    Ok(())
}

#[test]
fn detects_a_viewer_that_reads_no_ranges_or_is_never_refused() {
    let read = "access: path=\"/v/document.pdf\" status=206 sent=1\n";
    let refused = "access: path=\"/v/document.pdf\" status=403 rule=\"cross-site\" reason=\"x\"\n";
    let check = |log: &str| check_log(log, "/v/", &VIEWERS[0]);
    assert_eq!(check(&[read, refused].concat()), Ok(()));
    assert!(check(refused).unwrap_err().contains("no range of document.pdf"));
    assert!(check(read).unwrap_err().contains("no refusal"));
    assert!(check(&[read, refused].concat().replace("/v/", "/other/")).is_err());
}
