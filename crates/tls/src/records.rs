//! Cuts what is written into records.

use std::io::{self, IoSlice};

/// The longest plaintext of a record, in bytes.
pub(crate) const RECORD: usize = 16 * 1024;

/// Passes the bytes of `slices`, at most `limit`, to `seal` in order: whole records, at the end what is left. Only a record
/// that lies in several slices is copied, to `joined`, which has the length of a record. Returns the number of bytes.
///
/// # Errors
/// The first error of `seal`.
pub(crate) fn cut(
    slices: &[IoSlice<'_>],
    limit: usize,
    joined: &mut [u8],
    mut seal: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<usize> {
    let (mut taken, mut filled) = (0, 0);
    let copy = |joined: &mut [u8], filled: usize, bytes: &[u8]| {
        if let Some(to) = joined.get_mut(filled..filled + bytes.len()) {
            to.copy_from_slice(bytes);
        }
        filled + bytes.len()
    };
    for (number, slice) in slices.iter().enumerate() {
        let mut rest = slice.get(..slice.len().min(limit - taken)).unwrap_or_default();
        taken += rest.len();
        if filled > 0 {
            let (now, after) = rest.split_at(rest.len().min(RECORD - filled));
            filled = copy(joined, filled, now);
            rest = after;
            if filled < RECORD {
                continue;
            }
            seal(joined.get(..RECORD).unwrap_or_default())?;
        }
        let is_last = taken == limit || number + 1 == slices.len();
        let (now, after) = rest.split_at(if is_last { rest.len() } else { rest.len() - rest.len() % RECORD });
        if !now.is_empty() {
            seal(now)?;
        }
        filled = copy(joined, 0, after);
    }
    if filled > 0 {
        seal(joined.get(..filled).unwrap_or_default())?;
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts pieces of these lengths and returns the lengths that were sealed.
    fn lengths(pieces: &[usize], limit: usize) -> Vec<usize> {
        let all: Vec<u8> = (0..=250).cycle().take(pieces.iter().sum()).collect();
        let mut rest = &all[..];
        let slices: Vec<IoSlice<'_>> = pieces
            .iter()
            .map(|length| {
                let (piece, after) = rest.split_at(*length);
                rest = after;
                IoSlice::new(piece)
            })
            .collect();
        let (mut sealed, mut lengths) = (Vec::new(), Vec::new());
        let taken = cut(&slices, limit, &mut [0; RECORD], |plain| {
            sealed.extend_from_slice(plain);
            lengths.push(plain.len());
            Ok(())
        });
        assert_eq!(taken.unwrap(), all.len().min(limit));
        assert!(sealed == all[..all.len().min(limit)], "{pieces:?}");
        lengths
    }

    #[test]
    fn all_records_but_the_last_are_full() {
        const FOUR: usize = 4 * RECORD;
        let cases: [(&[usize], &[usize]); 9] = [
            (&[], &[]),
            (&[100], &[100]),
            (&[100, 1000], &[1100]),
            (&[200, FOUR], &[RECORD, FOUR - RECORD]),
            (&[9, RECORD - 9, 9, RECORD - 9], &[RECORD, RECORD]),
            (&[9, 100, 9, RECORD, 5], &[RECORD, 123]),
            (&[RECORD + 1, RECORD - 1, 7], &[RECORD, RECORD, 7]),
            (&[0, 0, 5, 0], &[5]),
            (&[FOUR + 1, 1], &[FOUR]),
        ];
        for (pieces, expected) in cases {
            assert_eq!(lengths(pieces, FOUR), expected, "{pieces:?}");
        }
    }

    #[test]
    fn errors_end_it() {
        let failed = cut(&[IoSlice::new(&[1])], 10, &mut [0; RECORD], |_| Err(io::ErrorKind::Other.into()));
        assert!(failed.is_err());
    }
}
