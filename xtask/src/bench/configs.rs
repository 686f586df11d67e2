//! The configuration of each proxy: one core, persistent connections on both sides, no log.

use super::certificates::Pair;
use std::net::SocketAddr;
use std::path::Path;

/// Where a proxy listens, with TLS if it has a certificate.
#[derive(Clone, Copy)]
pub(crate) struct Listen<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<&'a Pair>,
}

/// The servers behind a proxy.
#[derive(Clone)]
pub(crate) struct Behind {
    pub(crate) store: SocketAddr,
    /// The server that issues sessions: usually the store.
    pub(crate) sts: SocketAddr,
}

/// The sizes of nginx's buffers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Buffers {
    Default,
    /// 64 KiB each, without temporary files.
    Large,
}

/// Returns `nginx.conf` with a line for the header `Host`.
pub(crate) fn nginx(
    listen: Listen<'_>,
    behind: &Behind,
    buffers: Buffers,
    host: &str,
    folder: &Path,
    as_root: bool,
) -> String {
    let folder = folder.display();
    // The worker must be able to write into the temporary folder of this user.
    let user = if as_root { "user root;\n" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {folder}/{name};\n"))
        .concat();
    let buffers = match buffers {
        Buffers::Default => "",
        Buffers::Large => {
            "    proxy_buffer_size 64k;\n    proxy_buffers 8 64k;\n    proxy_busy_buffers_size 128k;\n    \
             proxy_max_temp_file_size 0;\n    proxy_request_buffering off;\n    client_body_buffer_size 64k;\n"
        }
    };
    let Listen { address, tls } = listen;
    let (parameters, tls) = match tls {
        None => ("", String::new()),
        // This nginx speaks no TLS 1.3 unless it is told to.
        Some(Pair { certificate, key, .. }) => (
            " ssl http2",
            format!(
                "        ssl_certificate {};\n        ssl_certificate_key {};\n        \
                 ssl_protocols TLSv1.2 TLSv1.3;\n",
                certificate.display(),
                key.display()
            ),
        ),
    };
    format!(
        "{user}daemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log stderr crit;\n\
         events {{ worker_connections 20000; }}\n\
         http {{\n    access_log off;\n{temporary}    keepalive_timeout 10m;\n    keepalive_requests 1000000000;\n    \
         client_max_body_size 0;\n{buffers}    \
         upstream store {{\n        server {store};\n        keepalive 1024;\n        keepalive_requests 1000000000;\n    }}\n    \
         server {{\n        listen {address}{parameters} backlog=4096;\n{tls}        location / {{\n            proxy_pass http://store;\n            \
         proxy_http_version 1.1;\n            proxy_set_header Connection \"\";\n            {host}\n        }}\n    }}\n}}\n",
        store = behind.store
    )
}

/// The protocol that HAProxy expects of its clients.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Http,
    /// None: bytes are relayed.
    Tcp,
}

/// Returns `haproxy.cfg`.
pub(crate) fn haproxy(listen: Listen<'_>, behind: &Behind, mode: Mode) -> String {
    let tls =
        listen.tls.map_or(String::new(), |pair| format!(" ssl crt {} alpn h2,http/1.1", pair.both.display()));
    let mode = match mode {
        Mode::Http => "http\n    http-reuse always",
        Mode::Tcp => "tcp",
    };
    format!(
        "global\n    nbthread 1\n    maxconn 12000\n    no strict-limits\n\
         defaults\n    mode {mode}\n    timeout connect 5s\n    timeout client 10m\n    timeout server 10m\n    \
         option splice-auto\n\
         frontend clients\n    bind {address}{tls} backlog 4096\n    default_backend store\n\
         backend store\n    server store {store}\n",
        address = listen.address,
        store = behind.store
    )
}

/// Returns `envoy.yaml`. If `signing`, requests are signed for S3 with the keys in the environment.
pub(crate) fn envoy(listen: SocketAddr, behind: &Behind, signing: bool) -> String {
    let (ip, port) = (listen.ip(), listen.port());
    let (store_ip, store_port) = (behind.store.ip(), behind.store.port());
    let signer =
        if signing { ENVOY_SIGNER.replace("STORE", &behind.store.to_string()) } else { String::new() };
    format!(
        r#"static_resources:
  listeners:
  - address: {{socket_address: {{address: {ip}, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: clients
          codec_type: HTTP1
          generate_request_id: false
          stream_idle_timeout: 600s
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: "/"}}
                route: {{cluster: store, timeout: 0s}}
          http_filters:
{signer}          - name: router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
              suppress_envoy_headers: true
  clusters:
  - name: store
    type: STATIC
    connect_timeout: 5s
    circuit_breakers:
      thresholds:
      - {{max_connections: 20000, max_pending_requests: 20000, max_requests: 20000}}
    load_assignment:
      cluster_name: store
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: {store_ip}, port_value: {store_port}}}}}}}
"#
    )
}

const ENVOY_SIGNER: &str = r#"          - name: signer
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.aws_request_signing.v3.AwsRequestSigning
              service_name: s3
              region: us-east-1
              use_unsigned_payload: true
              host_rewrite: "STORE"
              match_excluded_headers:
              - prefix: x-envoy
              - prefix: x-forwarded
              - exact: user-agent
              - exact: accept
"#;

/// Returns `proxy.toml`.
pub(crate) fn scopegate(listen: Listen<'_>, behind: &Behind, access_log: bool) -> String {
    let tls = listen.tls.map_or(String::new(), |Pair { certificate, key, .. }| {
        let (chain, key) = (certificate.display(), key.display());
        format!("tls = {{ certificates = [{{ chain = \"{chain}\", key = \"{key}\" }}] }}\n")
    });
    format!(
        r#"[[listener]]
name = "bench"
address = "{address}"
{tls}[admin]
address = "127.0.0.1:0"
[upstream]
endpoints = ["http://{store}"]
[issuer]
endpoint = "http://{sts}"
access_key = {{ env = "SCOPEGATE_ACCESS_KEY" }}
secret_key = {{ env = "SCOPEGATE_SECRET_KEY" }}
[[mapping]]
name = "bench"
client = {{ network = "127.0.0.0/8", listener = "bench" }}
[[mapping.scope]]
bucket = "tmp"
prefix = "media/"
allow = ["read", "list", "write"]
[limits]
connections = 20000
connections_per_client = 20000
requests_per_mapping = 20000
workers = 1
idle_timeout = "10m"
stall_timeout = "10m"
drain_timeout = "1s"
[log]
access = {access_log}
"#,
        address = listen.address,
        store = behind.store,
        sts = behind.sts
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind() -> Behind {
        let address = SocketAddr::from(([127, 0, 0, 1], 9000));
        Behind { store: address, sts: address }
    }

    #[test]
    fn names_both_ends_in_every_configuration() {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let listen = Listen { address, tls: None };
        let texts = [
            nginx(listen, &behind(), Buffers::Default, "", Path::new("/t"), false),
            haproxy(listen, &behind(), Mode::Http),
            haproxy(listen, &behind(), Mode::Tcp),
            scopegate(listen, &behind(), true),
        ];
        for text in texts {
            assert!(text.contains("127.0.0.1:8080") && text.contains("127.0.0.1:9000"), "{text}");
        }
        let signing = envoy(address, &behind(), true);
        assert!(signing.contains("port_value: 8080") && signing.contains("host_rewrite: \"127.0.0.1:9000\""));
        assert!(!envoy(address, &behind(), false).contains("AwsRequestSigning"));
    }

    #[test]
    fn sets_only_large_buffers() {
        let listen = Listen { address: SocketAddr::from(([127, 0, 0, 1], 8080)), tls: None };
        let default = nginx(listen, &behind(), Buffers::Default, "", Path::new("/t"), true);
        assert!(!default.contains("64k") && default.contains("user root;"));
        assert!(
            nginx(listen, &behind(), Buffers::Large, "", Path::new("/t"), false)
                .contains("proxy_buffers 8 64k;")
        );
    }

    #[test]
    fn names_the_certificate_only_for_tls() {
        let pair = Pair { certificate: "/t/c".into(), key: "/t/k".into(), both: "/t/b".into() };
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        for (tls, names_it) in [(None, false), (Some(&pair), true)] {
            let listen = Listen { address, tls };
            let nginx = nginx(listen, &behind(), Buffers::Default, "", Path::new("/n"), false);
            assert_eq!(nginx.contains("ssl http2") && nginx.contains("ssl_certificate /t/c;"), names_it);
            assert_eq!(haproxy(listen, &behind(), Mode::Http).contains(" ssl crt /t/b "), names_it);
            let scopegate = scopegate(listen, &behind(), false);
            assert_eq!(scopegate.contains(r#"{ chain = "/t/c", key = "/t/k" }"#), names_it);
        }
    }
}
