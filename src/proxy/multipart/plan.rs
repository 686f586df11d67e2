//! The sizes of the parts of an object of unknown length.

use crate::bounds::limits::PART_SIZE;
use crate::s3::limits::MAX_PARTS;

/// The number of parts after which their size is doubled.
const DOUBLED_AFTER: u32 = 1000;

/// Returns the size of a part, counted from 1. Parts of small objects are small, and later parts are large enough for
/// the largest object to fit.
pub(crate) fn part_size(number: u32) -> u64 {
    PART_SIZE << ((number.clamp(1, MAX_PARTS) - 1) / DOUBLED_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::limits::MAX_OBJECT;
    use crate::s3::limits::MAX_SINGLE_PUT;

    #[test]
    fn the_largest_object_fits() {
        assert_eq!((part_size(1), part_size(1000), part_size(1001)), (PART_SIZE, PART_SIZE, 2 * PART_SIZE));
        assert!((1..=MAX_PARTS).all(|number| (PART_SIZE..=MAX_SINGLE_PUT).contains(&part_size(number))));
        assert!((2..=MAX_PARTS).all(|number| part_size(number) >= part_size(number - 1)));
        assert!((1..=MAX_PARTS).map(part_size).sum::<u64>() >= MAX_OBJECT);
    }
}
