//! The pages of the report: their sections, methods and plots.

use super::options::Section;

/// A page of the report, which a run of all its sections may publish.
pub(crate) struct Page {
    pub(crate) file: &'static str,
    pub(crate) title: &'static str,
    pub(crate) sections: &'static [Section],
    /// How its figures are measured, for its readers.
    pub(crate) method: &'static str,
    pub(crate) figures: &'static [Figure],
    /// Whether the README has a summary of it.
    pub(crate) is_summarized: bool,
}

/// All pages.
pub(crate) const PAGES: [Page; 2] = [
    Page {
        file: "benchmark.md",
        title: "Benchmark",
        sections: &[
            Section::Small,
            Section::Rate,
            Section::Large,
            Section::Idle,
            Section::Transfers,
            Section::Start,
            Section::Store,
        ],
        method: PLAIN_METHOD,
        figures: &PLAIN_FIGURES,
        is_summarized: true,
    },
    Page {
        file: "benchmark-tls.md",
        title: "Benchmark of TLS and HTTP/2",
        sections: &[Section::Tls, Section::Http2],
        method: TLS_METHOD,
        figures: &TLS_FIGURES,
        is_summarized: false,
    },
];

/// The method of the page without TLS.
const PLAIN_METHOD: &str = "\
Every proxy runs on a core of its own; the origin and the load are on another. The origin answers at once and checks
nothing, so these figures are those of the proxies. It writes large objects from memory; where a table says so, the origin is
an nginx that sends files (sendfile). The last tables show the real MinIO, which has a core to itself
while the proxy and the load share the other. Each round measures every variant, in random order. A figure is the
median of the rounds with its quartiles; a ratio compares values of the same round.

Where as many requests as possible are sent, `wrk` measures the rate. The latencies come from another client, which
sends its next request as soon as it has the response: `wrk` adds the latencies of requests that it could have sent
while it waited for one, so that its p99 is mostly the time for which the machine stalled. Each of these runs takes a
second, and a round has three. CPU is the time that the kernel counted for the proxy's processes (`schedstat`); memory
is their proportional set size. Requests at a fixed rate are due at random times that do not depend on the responses,
and the wait for a free connection counts. In turns with MinIO means that one client sends requests to MinIO and to the
proxy alternately, so that both meet the store in the same state. One proxy after the other means that `wrk` loads each
alone.

Scopegate makes all of its checks and signs with a session. Envoy signs where the row says so. nginx and HAProxy pass on
requests unsigned, and with MinIO those that the client signed. No signature covers a body. Each proxy has one worker, HTTP/1.1 without TLS, persistent connections on both sides and no access
log unless the row says so (then to /dev/null). Where the baseline is nginx with its default buffers, it may use files.
";

/// The method of the page with TLS.
const TLS_METHOD: &str = "\
As in the [benchmark](benchmark.md), every proxy runs on a core of its own with one worker, the origin and the load are
on another, each round measures every variant, a figure is the median of the rounds with its quartiles, and a ratio
compares values of the same round. Scopegate makes all of its checks and signs. Nothing writes an access log.

Clients speak TLS with the proxy, and the proxy speaks to the origin without TLS. All proxies have the same self-signed
certificates, TLS 1.3 with AES-256-GCM and X25519. Only the column that says so offers X25519MLKEM768 as well; a proxy
that does not know it uses X25519. nginx and HAProxy use Debian's OpenSSL with their own defaults, apart from TLS 1.3 in
nginx.

New connections are opened by 32 clients. Each sends one GET of 1 KiB and closes its connection. Their number is that of
the connections for which the proxy took one second of CPU, so it does not depend on how fast the clients are. These are
part of `cargo xtask bench`, accept every certificate, and fail if a session is not resumed where that is measured, or
resumed where it is not. `wrk` measures the requests on persistent connections, and `h2load` all figures of HTTP/2 and of
HTTP/1.1 beside it. Uploads with `h2load` are PUTs of a file. With a round-trip time, a relay on the core of the load
delays every byte by half of that time and carries 4 MiB per round trip, as TCP does with Linux's usual buffers. Those
figures include the handshake.
";

/// A plot of the report, with a panel for each of its tables.
pub(crate) struct Figure {
    pub(crate) file: &'static str,
    pub(crate) title: &'static str,
    pub(crate) panels: &'static [&'static str],
    pub(crate) column: usize,
    pub(crate) as_ratio: bool,
}

/// The plots of the page without TLS.
const PLAIN_FIGURES: [Figure; 4] = [
    Figure {
        file: "benchmark-requests.svg",
        title: "Requests/s, 1 KiB, as ratio to nginx (more is better)",
        panels: &["small-64", "small-256"],
        column: 0,
        as_ratio: true,
    },
    Figure {
        file: "benchmark-cpu.svg",
        title: "CPU per request, 1 KiB, as ratio to nginx (less is better)",
        panels: &["small-64", "small-256"],
        column: 1,
        as_ratio: true,
    },
    Figure {
        file: "benchmark-bodies.svg",
        title: "CPU seconds per GiB (less is better)",
        panels: &["get-4", "get-32", "put-4", "put-32"],
        column: 1,
        as_ratio: false,
    },
    Figure {
        file: "benchmark-idle.svg",
        title: "KiB per idle connection (less is better)",
        panels: &["idle-1000", "idle-10000"],
        column: 0,
        as_ratio: false,
    },
];

/// The plots of the page with TLS.
const TLS_FIGURES: [Figure; 4] = [
    Figure {
        file: "benchmark-tls-handshakes.svg",
        title: "Full handshakes per second of CPU, P-256, with a GET of 1 KiB (more is better)",
        panels: &["tls-connections"],
        column: 1,
        as_ratio: false,
    },
    Figure {
        file: "benchmark-tls-cpu.svg",
        title: "CPU per request with TLS, 1 KiB, as ratio to nginx (less is better)",
        panels: &["tls-small"],
        column: 1,
        as_ratio: true,
    },
    Figure {
        file: "benchmark-tls-bodies.svg",
        title: "CPU seconds per GiB with TLS (less is better)",
        panels: &["tls-get-4", "tls-get-32", "tls-put-4", "tls-put-32"],
        column: 1,
        as_ratio: false,
    },
    Figure {
        file: "benchmark-tls-idle.svg",
        title: "KiB per idle TLS connection (less is better)",
        panels: &["tls-idle-1000", "tls-idle-10000"],
        column: 0,
        as_ratio: false,
    },
];
