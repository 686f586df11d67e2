//! Formats the names, sizes and links in a list.

use crate::s3::names::check_key;
use crate::s3::target::encode_path;

/// Returns a relative reference to a name in a listed folder, or `None` if no path can express that key.
///
/// Every character that is special in a reference is encoded, including `:`, so that no name is read as a scheme.
/// This also avoids a leading `./`, which programs that compare paths do not remove. Browsers resolve names such as
/// `..` even when they are encoded, but these are not valid keys.
pub(crate) fn href(prefix: &str, name: &str) -> Option<String> {
    check_key(&format!("{prefix}{name}")).ok()?;
    Some(encode_path(name))
}

/// Formats a size for people: `13 B`, `1.2 KiB`.
#[expect(clippy::cast_precision_loss, reason = "one digit behind the point is shown")]
pub(crate) fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut size = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        // A larger size would be rounded to 1024.0 instead of 1.0 of the next unit.
        if size < 1023.95 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") }
}

/// Formats a number with thousands separators: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
