//! `docs/clients.md`, made of what came of the run.

use crate::client::{CLIENTS, Scheme, Signs};
use crate::mounts::HTTPDIRFS;
use crate::programs::PROGRAMS;
use crate::run::Row;
use crate::viewers::VIEWERS;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const HEAD: &str = "\
# Clients

Made by the test of real clients, which keeps this page equal to what it sees (`UPDATE_DOCS=1 cargo xtask test -- --test
clients` writes it). Each client is run as it is shipped, against Scopegate and a real MinIO, and gets an object,
puts a small one, puts one of 64 MiB (in parts, where it can), lists 2,501 keys, and deletes; what the store holds
afterwards is compared byte by byte. With HTTPS a terminator of TLS stands before Scopegate: SDKs frame bodies in other
ways there. The versions are those of `tests/clients/requirements*.txt`, s5cmd 2.3.0, the `mc` that `cargo xtask tools`
builds, and Debian 12's of curl, wget, rclone and the AWS CLI 2. DuckDB's extension is the package `duckdb-ext-httpfs`.

\"Signs\" says whether it signed: where it did, with keys that mean nothing, which Scopegate does not look at.
\"–\" is what a client has no way to do.

| client | over | signs | get | put | 64 MiB | list | delete |
|---|---|---|---|---|---|---|---|
";

const SETTINGS: &str = "
## What to set

Give every one Scopegate's address as its endpoint, and path style where it asks. Before a terminator of TLS with a
certificate of your own authority, name that authority (`--cacert`, `--ca-certificate`, `--ca-bundle`, `verify=`,
`SSL_CERT_FILE`) rather than turning the check off.

| client | besides |
|---|---|
";

const OTHERS: &str = "
## Programs

Each of these does its own job in the same test, and what it reads back is compared with what was stored. It is given an
address as `http://HOST/BUCKET/PREFIX/…`; programs that speak S3 are given `http://HOST` as their endpoint, and path style.
The versions are those of `tests/clients/requirements*.txt`, `tests/clients/node/package.json` and `tests/clients/java`
(2.17.295 and 2.58.0), and Debian 12's of the others. Programs on a page of another origin run in Chromium, and are refused
to a page whose origin is not in `origins`.

| program | does | setting |
|---|---|---|
";

const BY_HAND: &str = "
Tried by hand as well, and held by no test: the AWS SDKs for Go 2 and for Ruby, minio-java, minio-js, HTTPie, axel, Perl's LWP,
PHP, `httpx`, Mercurial (`static-http://`), OSTree, zsync, ccache (`CCACHE_REMOTE_STORAGE`), dnf, Maven, duplicity
(`boto3+s3://`), DVC (HTTP remote with `method PUT`), polars, deltalake, obstore, smart_open, cloudpathlib, `rclone
mount`. s3fs-fuse asks for a list of the whole bucket when it mounts: give it a bucket as scope, or a scope with
`mount = \"/NAME/\"` and `NAME` as its bucket.

Forms that upload by `POST` (boto3's `generate_presigned_post`, `mc share upload`) are not offered.
";

fn page(rows: &[String]) -> String {
    let mut page = HEAD.to_owned();
    page.extend(rows.iter().map(String::as_str));
    page.push_str(SETTINGS);
    for client in CLIENTS {
        let _ = writeln!(page, "| {} | {} |", client.name, client.setting);
    }
    page.push_str(OTHERS);
    let viewers = VIEWERS.iter().map(|viewer| &viewer.program);
    for program in PROGRAMS.iter().chain(viewers).chain([&HTTPDIRFS]) {
        let _ = writeln!(page, "| {} | {} | {} |", program.name, program.does, program.setting);
    }
    page.push_str(BY_HAND);
    page
}

fn line(row: &Row) -> String {
    let over = if row.way.1 == Scheme::Http { "HTTP" } else { "HTTPS" };
    let signs = if row.way.0 == Signs::Yes { "yes" } else { "no" };
    let cell = |done: &Option<bool>| done.map_or("–", |done| if done { "yes" } else { "no" });
    let cells: Vec<&str> = row.cells.iter().map(cell).collect();
    format!("| {} | {over} | {signs} | {} |\n", row.client.name, cells.join(" | "))
}

/// Held by tests that read or write the page.
static ACCESS: Mutex<()> = Mutex::new(());

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clients.md")
}

fn read() -> String {
    std::fs::read_to_string(path()).unwrap()
}

/// Compares the page with a run, or writes it under `UPDATE_DOCS`. A run that left clients out is compared by its rows
/// alone.
pub(crate) fn compare(rows: &[Row], is_complete: bool) {
    let _access = ACCESS.lock().unwrap_or_else(PoisonError::into_inner);
    let rows: Vec<String> = rows.iter().map(line).collect();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        assert!(is_complete, "UPDATE_DOCS needs a run of all clients, and some are not installed");
        std::fs::write(path(), page(&rows)).unwrap();
    }
    let written = read();
    if is_complete {
        assert!(
            written == page(&rows),
            "docs/clients.md differs from this run: run again with UPDATE_DOCS=1"
        );
    }
    for row in &rows {
        assert!(written.contains(row), "docs/clients.md lacks the row {row}");
    }
}

#[test]
fn the_text_around_the_rows_is_up_to_date() {
    let _access = ACCESS.lock().unwrap_or_else(PoisonError::into_inner);
    let is_row = |line: &&str| line.contains(" | HTTP | ") || line.contains(" | HTTPS | ");
    let rows: Vec<String> = read().lines().filter(is_row).map(|row| format!("{row}\n")).collect();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path(), page(&rows)).unwrap();
    }
    assert!(
        read() == page(&rows),
        "docs/clients.md differs from tests/clients: run again with UPDATE_DOCS=1"
    );
}
