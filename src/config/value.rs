//! Parses values: durations, sizes, hosts, addresses and networks.

use super::ListenAddress;
use ipnet::IpNet;
use jiff::fmt::friendly::{Spacing, SpanParser, SpanPrinter};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

static DURATIONS: SpanParser = SpanParser::new();

/// Parses a duration such as `30s`, `15m`, `1h30m` or `500ms`. A number needs a unit, and a day is not one: its length
/// depends on the calendar.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    DURATIONS.parse_unsigned_duration(text.trim()).ok()
}

/// Formats a duration in the form that [`parse_duration`] reads.
pub(super) fn show_duration(duration: Duration) -> String {
    SpanPrinter::new().spacing(Spacing::None).unsigned_duration_to_string(&duration)
}

/// Parses a size such as `100MiB`, `5GiB` or `512B`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Parses a domain name, and returns it in lower case.
pub(super) fn parse_domain(text: &str) -> Result<Box<str>, &'static str> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // Many programs read a name whose last label is a number as an IPv4 address.
    let numeric = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if text.len() > 253 || numeric || !text.split('.').all(label) {
        return Err("write a DNS name without scheme, port or final dot, such as \"s3.example.test\"");
    }
    Ok(text.to_ascii_lowercase().into())
}

/// Parses a host without a port, and returns it as it appears in a `Host` header: in lower case, IPv6 in brackets.
pub(super) fn parse_host(text: &str) -> Result<Box<str>, &'static str> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => Ok(format!("[{address}]").into()),
        Ok(IpAddr::V4(address)) if bare == text => Ok(address.to_string().into()),
        _ => parse_domain(text)
            .map_err(|_| "write a DNS name or an address without a port, such as \"s3.example.test\""),
    }
}

/// Parses the mode of a unix socket, as `chmod` takes it. Connecting to a socket needs the right to write to it.
pub(super) fn parse_mode(text: &str) -> Result<u32, &'static str> {
    let is_octal = matches!(text.len(), 3 | 4) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    match u32::from_str_radix(text, 8) {
        Ok(mode) if is_octal && mode <= 0o777 && mode & 0o222 == 0 => Err(
            "connecting needs the right to write, which this mode gives to nobody: write \"0660\" or \"0600\"",
        ),
        Ok(mode) if is_octal && mode <= 0o777 => Ok(mode),
        _ => Err("write three octal digits after a 0, as chmod takes them: \"0660\""),
    }
}

/// Parses the address of a listener.
pub(super) fn parse_listen_address(text: &str) -> Result<ListenAddress, &'static str> {
    if let Some(path) = text.strip_prefix("unix:") {
        if path.starts_with('@') {
            return Err(
                "every process may connect to an abstract socket: write the path of a file, such as \
                        \"unix:/run/scopegate/s3.sock\"",
            );
        }
        // `sun_path` of Linux has 108 bytes, and the last is 0.
        return match path.len() {
            2..=107 if path.starts_with('/') => Ok(ListenAddress::Unix(PathBuf::from(path))),
            _ => Err("write an absolute path of at most 107 bytes, such as \"unix:/run/scopegate/s3.sock\""),
        };
    }
    text.parse::<SocketAddr>().map(ListenAddress::Tcp).map_err(
        |_| "write an address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\", or \"unix:/path\"",
    )
}

/// Parses a network. A single address is a network of one address.
pub(super) fn parse_network(text: &str) -> Result<IpNet, String> {
    let network: IpNet = match text.parse::<IpAddr>() {
        Ok(address) => address.into(),
        Err(_) => {
            text.parse().map_err(|_| "write a network, such as \"10.0.0.0/8\" or \"::1/128\"".to_owned())?
        }
    };
    if network.trunc() != network {
        return Err(format!(
            "the address has bits beyond its prefix length: write {:?}",
            network.trunc().to_string()
        ));
    }
    if let IpNet::V6(v6) = network
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Some(length) = v6.prefix_len().checked_sub(96)
    {
        let help = "an IPv4 client never has an address of this network, even on an IPv6 listener";
        return Err(format!("{help}: write \"{v4}/{length}\""));
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_durations() {
        let cases = [
            ("15m", 900_000),
            ("1h30m", 5_400_000),
            ("1h30m15s500ms", 5_415_500),
            ("500ms", 500),
            ("0s", 0),
            (" 2s ", 2000),
            ("1h 30m", 5_400_000),
        ];
        for (text, millis) in cases {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for bad in
            ["", "15", "m", "1d", "-1s", "15m ago", "99999999999999999999s", "1s1", "9999999999999999h"]
        {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        for text in ["15m", "12h", "168h", "1h30m", "500ms", "0s"] {
            assert_eq!(parse_duration(text).map(show_duration).as_deref(), Some(text));
        }
    }

    #[test]
    fn parses_sizes() {
        for (text, bytes) in [("1B", 1), ("4KiB", 4096), ("100MiB", 104_857_600), ("5TiB", 5 << 40)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["", "1", "MiB", "1MB", "1.5GiB", "-1B", "1 MiB", "99999999999TiB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn parses_hosts_and_domains() {
        let cases = [
            ("S3.Example.Test", "s3.example.test"),
            ("minio_proxy", "minio_proxy"),
            ("10.1.2.3", "10.1.2.3"),
            ("::1", "[::1]"),
            ("[FD00:0::1]", "[fd00::1]"),
        ];
        for (text, host) in cases {
            assert_eq!(parse_host(text).as_deref(), Ok(host), "{text}");
        }
        let long = "a.".repeat(126) + "ab";
        for bad in
            ["", "a.", ".a", "a..b", "-a", "a-", "a b", "a:80", "http://a", "*.a", "10.1", "a/b", "ü", &long]
        {
            assert!(parse_host(bad).is_err() && parse_domain(bad).is_err(), "{bad:?}");
        }
        assert!(parse_domain("10.1.2.3").is_err() && parse_domain("[::1]").is_err());
        assert!(parse_host("[10.1.2.3]").is_err());
    }

    #[test]
    fn parses_modes_that_let_somebody_connect() {
        for (text, mode) in [("0660", 0o660), ("600", 0o600), ("0666", 0o666), ("0020", 0o020)] {
            assert_eq!(parse_mode(text), Ok(mode), "{text}");
        }
        for bad in ["", "0", "66", "0o660", "01660", "1660", "0688", "u+w", "-660", "+660", "06600"] {
            assert!(parse_mode(bad).unwrap_err().contains("octal"), "{bad}");
        }
        for shut in ["0000", "0444", "555"] {
            assert!(parse_mode(shut).unwrap_err().contains("right to write"), "{shut}");
        }
    }

    #[test]
    fn sockets_have_a_path() {
        for bad in ["unix:", "unix:s3.sock", "unix:/", "unix:@s3", "unix:@/s3"] {
            assert!(parse_listen_address(bad).is_err(), "{bad}");
        }
        assert!(parse_listen_address("unix:@s3").unwrap_err().contains("abstract"));
        assert!(parse_listen_address(&format!("unix:/{}", "a".repeat(106))).is_ok());
        assert!(parse_listen_address(&format!("unix:/{}", "a".repeat(107))).is_err());
    }

    #[test]
    fn parses_networks() {
        assert_eq!(parse_network("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
        assert!(parse_network("10.1.2.3/8").unwrap_err().contains("10.0.0.0/8"));
        for (mapped, meant) in [
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:a00:1", "10.0.0.1/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            let told = parse_network(mapped).unwrap_err();
            assert!(told.contains("IPv4 client") && told.ends_with(&format!("write \"{meant}\"")), "{told}");
        }
        for wider in ["::/0", "::/64", "::ffff:0:0:0/95", "::fffe:0:0/96"] {
            assert!(parse_network(wider).is_ok(), "{wider}");
        }
        assert!(parse_network("10.0.0.0/33").is_err() && parse_network("localhost").is_err());
    }
}
