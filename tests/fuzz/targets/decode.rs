//! A second decoder of targets, as a store may decode them.

/// Decodes percent escapes once. A `+` remains a `+`.
pub(super) fn unescape(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?].map(char::from);
            let [high, low] = digits.map(|digit| digit.to_digit(16));
            decoded.push(u8::try_from(high? * 16 + low?).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

/// Returns the bucket and key of a path.
pub(super) fn place(path: &str) -> Option<(String, String)> {
    let decoded = unescape(path.strip_prefix('/')?)?;
    let (bucket, key) = decoded.split_once('/').unwrap_or((&decoded, ""));
    Some((bucket.to_owned(), key.to_owned()))
}

/// Returns the pairs of a query, in which a `+` is a space.
pub(super) fn pairs(query: &str) -> Option<Vec<(String, String)>> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        Some((unescape(&name.replace('+', " "))?, unescape(&value.replace('+', " "))?))
    };
    parts.map(pair).collect()
}

/// Reports whether a text is encoded as SigV4 requires, with these separators between its parts.
pub(super) fn is_canonical(text: &str, separators: &[u8]) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let good = match byte {
            b'%' => {
                let digits = [bytes.next(), bytes.next()].map(Option::unwrap_or_default);
                let value = u8::from_str_radix(&digits.map(char::from).iter().collect::<String>(), 16);
                let upper =
                    digits.iter().all(|digit| digit.is_ascii_digit() || (b'A'..=b'F').contains(digit));
                upper && value.is_ok_and(|value| !is_unreserved(value))
            }
            other => is_unreserved(other) || separators.contains(&other),
        };
        if !good {
            return false;
        }
    }
    true
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}
