//! The configuration of each proxy: one core, HTTP/1.1, persistent connections on both sides, no log.

use std::net::SocketAddr;
use std::path::Path;

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
    listen: SocketAddr,
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
    format!(
        "{user}daemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log stderr crit;\n\
         events {{ worker_connections 20000; }}\n\
         http {{\n    access_log off;\n{temporary}    keepalive_timeout 10m;\n    keepalive_requests 1000000000;\n    \
         client_max_body_size 0;\n{buffers}    \
         upstream store {{\n        server {store};\n        keepalive 1024;\n        keepalive_requests 1000000000;\n    }}\n    \
         server {{\n        listen {listen} backlog=4096;\n        location / {{\n            proxy_pass http://store;\n            \
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
pub(crate) fn haproxy(listen: SocketAddr, behind: &Behind, mode: Mode) -> String {
    let mode = match mode {
        Mode::Http => "http\n    http-reuse always",
        Mode::Tcp => "tcp",
    };
    format!(
        "global\n    nbthread 1\n    maxconn 12000\n    no strict-limits\n\
         defaults\n    mode {mode}\n    timeout connect 5s\n    timeout client 10m\n    timeout server 10m\n    \
         option splice-auto\n\
         frontend clients\n    bind {listen} backlog 4096\n    default_backend store\n\
         backend store\n    server store {}\n",
        behind.store
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
pub(crate) fn scopegate(listen: SocketAddr, behind: &Behind, access_log: bool) -> String {
    format!(
        r#"[[listener]]
name = "bench"
address = "{listen}"
[admin]
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
workers = 1
idle_timeout = "10m"
stall_timeout = "10m"
drain_timeout = "1s"
[log]
access = {access_log}
"#,
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
        let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        let texts = [
            nginx(listen, &behind(), Buffers::Default, "", Path::new("/t"), false),
            haproxy(listen, &behind(), Mode::Http),
            haproxy(listen, &behind(), Mode::Tcp),
            scopegate(listen, &behind(), true),
        ];
        for text in texts {
            assert!(text.contains("127.0.0.1:8080") && text.contains("127.0.0.1:9000"), "{text}");
        }
        let signing = envoy(listen, &behind(), true);
        assert!(signing.contains("port_value: 8080") && signing.contains("host_rewrite: \"127.0.0.1:9000\""));
        assert!(!envoy(listen, &behind(), false).contains("AwsRequestSigning"));
    }

    #[test]
    fn sets_only_large_buffers() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        let default = nginx(listen, &behind(), Buffers::Default, "", Path::new("/t"), true);
        assert!(!default.contains("64k") && default.contains("user root;"));
        assert!(
            nginx(listen, &behind(), Buffers::Large, "", Path::new("/t"), false)
                .contains("proxy_buffers 8 64k;")
        );
    }
}
