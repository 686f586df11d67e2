//! `wrk`, which sends as many requests as a proxy answers.

use super::child::on_core;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The result of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Counted {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// A load of GETs.
pub(crate) struct Load<'a> {
    pub(crate) wrk: &'a Path,
    pub(crate) core: usize,
    pub(crate) connections: u32,
    pub(crate) seconds: u64,
    /// A script that sets headers.
    pub(crate) script: Option<&'a Path>,
}

impl Load<'_> {
    /// Runs wrk.
    ///
    /// # Errors
    /// A request or wrk itself failed.
    pub(crate) fn run(&self, url: &str) -> Result<Counted, String> {
        let mut command: Command = on_core(self.core, self.wrk);
        command.args(["--latency", "--threads", "1", "--timeout", "10s"]);
        command.args(["--connections", &self.connections.to_string()]);
        command.args(["--duration", &format!("{}s", self.seconds)]);
        if let Some(script) = self.script {
            command.arg("--script").arg(script);
        }
        command.arg(url).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.output().map_err(|error| format!("cannot start wrk: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(format!(
                "wrk failed ({}): {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        counted(&said)
    }
}

fn counted(said: &str) -> Result<Counted, String> {
    let line = |start: &str| said.lines().find_map(|line| line.trim().strip_prefix(start));
    for failure in ["Socket errors:", "Non-2xx or 3xx responses:"] {
        if let Some(count) = line(failure) {
            return Err(format!("{failure}{count}"));
        }
    }
    let read = || {
        let whole = said.lines().find(|line| line.contains(" requests in "))?;
        let (requests, rest) = whole.trim().split_once(" requests in ")?;
        let seconds = duration(rest.split(',').next()?)?.as_secs_f64();
        let requests = requests.parse().ok().filter(|requests| *requests > 0.0)?;
        Some(Counted { requests, seconds, p50: duration(line("50%")?)?, p99: duration(line("99%")?)? })
    };
    read().ok_or_else(|| format!("the output of wrk lacks its figures:\n{said}"))
}

/// Parses `12.34us`, `1.2ms`, `3.4s` or `1.1m`.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0)];
    let (number, unit) = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "Running 1s test @ http://127.0.0.1:1/x\n  1 threads and 64 connections\n  \
        Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency     1.50ms    1.00ms  20.00ms   90.00%\n  \
        Latency Distribution\n     50%    1.25ms\n     75%    2.00ms\n     90%    3.00ms\n     99%  950.00us\n  \
        20000 requests in 1.10s, 27.00MB read\n";

    #[test]
    fn reads_the_figures() {
        let counted = counted(SAID).unwrap();
        assert!((counted.requests - 20_000.0).abs() < 0.1 && (counted.seconds - 1.1).abs() < 1e-9);
        assert_eq!((counted.p50, counted.p99), (Duration::from_micros(1250), Duration::from_micros(950)));
    }

    #[test]
    fn fails_the_run_with_a_failed_request() {
        let failed = format!("{SAID}  Non-2xx or 3xx responses: 12\nRequests/sec: 1\n");
        assert_eq!(counted(&failed), Err("Non-2xx or 3xx responses: 12".to_owned()));
        assert!(counted("").is_err());
    }
}
