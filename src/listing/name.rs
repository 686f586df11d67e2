//! The names in a folder, and what leads to them.

use crate::names::check_key;
use crate::target::encode_path;

/// A relative reference to a name in the folder that a list shows; none where no path can name that key.
///
/// Everything with a meaning in a reference is encoded, `:` too, so that no name is read as a scheme and none needs `./`
/// in front, which programs that compare paths do not take away. Names such as `..`, which browsers resolve even when
/// they are encoded, are keys that are refused anyway.
pub fn href(prefix: &str, name: &str) -> Option<String> {
    check_key(&format!("{prefix}{name}")).ok()?;
    Some(encode_path(name))
}

/// A size as people read it: `13 B`, `1.2 KiB`.
#[expect(clippy::cast_precision_loss, reason = "one digit behind the point is shown")]
pub fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut size = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        // What would round to 1024.0 is 1.0 of the next unit.
        if size < 1023.95 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") }
}

/// A number with its thousands apart: `1,234,567`.
pub fn grouped(number: u64) -> String {
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
