//! The real `scopegate` binary.

use std::{
    io::Write,
    path::Path,
    process::{Output, Stdio},
    thread,
};

use super::proxy::{Proxy, assert_holds_none, command, secrets_in};

/// Returns the path of the binary under test.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_scopegate"))
}

impl Proxy {
    /// Runs `scopegate serve` with this `proxy.toml`. See [`Proxy::start_binary`].
    pub(crate) fn start(config: &str, env: &[(&str, &str)]) -> Self {
        Self::start_binary(binary(), config, env)
    }
}

/// Runs any other command to completion, with `stdin` as its whole input.
pub(crate) fn scopegate(arguments: &[&str], env: &[(&str, &str)], stdin: &[u8]) -> Output {
    let mut child = command(binary(), env)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = stdin.to_owned();
    // A command that does not read all of its input closes the pipe, which is not a failure.
    let writer = thread::spawn(move || drop(input.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    // Stdout may contain secrets, such as a requested token.
    assert_holds_none(&secrets_in(env), &String::from_utf8_lossy(&output.stderr));
    output
}
