//! Values as people write them.

use super::ListenAddress;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A duration such as `30s`, `15m`, `1h30m` or `500ms`; `0` is none.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit_on) = rest.split_at(digits);
        let letters = unit_on.find(|c: char| c.is_ascii_digit()).unwrap_or(unit_on.len());
        let (unit, next) = unit_on.split_at(letters);
        let number: u64 = number.parse().ok()?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
        rest = next;
    }
    Some(total)
}

/// A duration in the form that [`parse_duration`] reads.
pub(super) fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (duration.subsec_millis(), seconds % 60, seconds % 3600) {
        (millis, ..) if millis > 0 => format!("{}ms", duration.as_millis()),
        (_, 0, 0) if seconds > 0 => format!("{}h", seconds / 3600),
        (_, 0, _) if seconds > 0 => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// Where a listener listens.
pub(super) fn parse_listen_address(text: &str) -> Result<ListenAddress, &'static str> {
    if let Some(path) = text.strip_prefix("unix:") {
        // sun_path holds 108 bytes with its end.
        return match path.len() {
            2..=107 if path.starts_with('/') => Ok(ListenAddress::Unix(PathBuf::from(path))),
            _ => Err("write an absolute path of at most 107 bytes, as in \"unix:/run/scopegate/s3.sock\""),
        };
    }
    text.parse::<SocketAddr>().map(ListenAddress::Tcp).map_err(
        |_| "write an address and a port, as in \"127.0.0.1:8080\" or \"[::1]:8080\", or \"unix:/path\"",
    )
}

/// A network; one address is a network of itself.
pub(super) fn parse_network(text: &str) -> Result<IpNet, String> {
    let network: IpNet = match text.parse::<std::net::IpAddr>() {
        Ok(address) => address.into(),
        Err(_) => {
            text.parse().map_err(|_| "write a network, as in \"10.0.0.0/8\" or \"::1/128\"".to_owned())?
        }
    };
    if network.trunc() != network {
        return Err(format!(
            "the address has bits beyond its prefix length: write {:?}",
            network.trunc().to_string()
        ));
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [("15m", 900_000), ("1h30m", 5_400_000), ("500ms", 500), ("0s", 0), (" 2s ", 2000)];
        for (text, millis) in cases {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for bad in [
            "",
            "15",
            "m",
            "1d",
            "-1s",
            "1.5h",
            "1h 30m",
            "99999999999999999999s",
            "1s1",
            "9999999999999999h",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        for text in ["15m", "12h", "500ms", "61s", "0s"] {
            assert_eq!(parse_duration(text).map(show_duration).as_deref(), Some(text));
        }
    }

    #[test]
    fn networks() {
        assert_eq!(parse_network("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
        assert!(parse_network("10.1.2.3/8").unwrap_err().contains("10.0.0.0/8"));
        assert!(parse_network("10.0.0.0/33").is_err() && parse_network("localhost").is_err());
    }
}
