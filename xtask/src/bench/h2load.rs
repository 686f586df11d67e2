//! `h2load`, which sends the same requests over HTTP/1.1 and HTTP/2.

use super::child::on_core;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The protocol, and how many requests are under way: on many connections, or on few with many streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub(crate) http2: bool,
    pub(crate) connections: u32,
    pub(crate) streams: u32,
}

/// How long h2load sends requests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Elapsed(Duration),
    Sent(u32),
}

/// A load of GETs, or of PUTs of a file.
pub(crate) struct Load<'a> {
    pub(crate) h2load: &'a Path,
    pub(crate) core: usize,
    pub(crate) protocol: Protocol,
    pub(crate) until: Until,
    pub(crate) upload: Option<&'a Path>,
}

/// The result of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Counted {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
}

impl Load<'_> {
    /// Runs h2load.
    ///
    /// # Errors
    /// A request or h2load itself failed, or the server speaks another protocol.
    pub(crate) fn run(&self, url: &str) -> Result<Counted, String> {
        let Protocol { http2, connections, streams } = self.protocol;
        let mut command: Command = on_core(self.core, self.h2load);
        command.args(["--clients", &connections.to_string()]);
        command.args(["--max-concurrent-streams", &streams.to_string()]);
        command.args(["--npn-list", if http2 { "h2" } else { "http/1.1" }]);
        // What OpenSSL's clients ask for first, so that all servers use the same cipher.
        command.args(["--tls13-ciphers", "TLS_AES_256_GCM_SHA384"]);
        match self.until {
            Until::Elapsed(length) => command.args(["--duration", &length.as_secs().to_string()]),
            Until::Sent(count) => command.args(["--requests", &count.to_string()]),
        };
        if let Some(file) = self.upload {
            command.args(["--header", ":method: PUT", "--data"]).arg(file);
        }
        command.arg(url).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.output().map_err(|error| format!("cannot start h2load: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("h2load failed ({}): {said}", output.status));
        }
        counted(&String::from_utf8_lossy(&output.stdout), http2)
    }
}

/// Reads what h2load prints.
fn counted(said: &str, http2: bool) -> Result<Counted, String> {
    let line = |start: &str| said.lines().find_map(|line| line.trim().strip_prefix(start));
    let protocol = if http2 { "h2" } else { "http/1.1" };
    let spoken = line("Application protocol: ").unwrap_or("none");
    if spoken != protocol {
        return Err(format!("the server speaks {spoken}, expected {protocol}"));
    }
    let read = || {
        let seconds = seconds(line("finished in ")?.split(',').next()?)?;
        let requests = line("requests: ")?;
        let count = |what: &str| -> Option<f64> {
            requests.split(", ").find_map(|part| part.strip_suffix(what))?.trim().parse().ok()
        };
        Some((count("succeeded")?, count("failed")?, seconds))
    };
    match read() {
        Some((requests, 0.0, seconds)) if requests > 0.0 => Ok(Counted { requests, seconds }),
        Some(_) => Err(format!("requests: {}", line("requests: ").unwrap_or_default())),
        None => Err(format!("the output of h2load lacks its figures:\n{said}")),
    }
}

/// Parses `12.34us`, `1.2ms` or `3.4s`.
fn seconds(text: &str) -> Option<f64> {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let (number, unit) = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    Some(number.parse::<f64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "starting benchmark...\nTLS Protocol: TLSv1.3\nApplication protocol: h2\n\n\
        finished in 1.50s, 8000.00 req/s, 555.20KB/s\n\
        requests: 8033 total, 8056 started, 8033 done, 8033 succeeded, 0 failed, 0 errored, 0 timeout\n\
        time for request:      140us      7.48ms      1.95ms       883us    79.22%\n";

    #[test]
    fn reads_the_figures() {
        let counted = counted(SAID, true).unwrap();
        assert!((counted.requests - 8033.0).abs() < 0.1 && (counted.seconds - 1.5).abs() < 1e-9);
        assert!(seconds("28.5ms").is_some_and(|seconds| (seconds - 0.0285).abs() < 1e-9));
    }

    #[test]
    fn fails_the_run_with_a_failed_request_or_another_protocol() {
        let failed = SAID.replace("0 failed", "33 failed");
        assert!(counted(&failed, true).is_err_and(|why| why.contains("33 failed")));
        assert!(counted(SAID, false).is_err_and(|why| why.contains("speaks h2")));
        assert!(counted("", true).is_err_and(|why| why.contains("speaks none")));
    }
}
