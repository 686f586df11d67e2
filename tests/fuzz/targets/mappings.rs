//! The scopes of the fuzzed clients.

use scopegate::internals::{BucketName, Mapping, Prefix, Right, Scope};

/// Scopes beside and within each other, with different rights.
pub(super) const SCOPES: [(&str, &str, &[Right]); 4] = [
    ("tmp", "media/", &[Right::Read, Right::List]),
    ("tmp", "inbox/", &[Right::Write, Right::Delete]),
    ("tmp", "media/old/", &[Right::Read, Right::List, Right::Versions]),
    ("tmp-2", "", &[Right::List, Right::Write]),
];

/// Reports whether one scope covers a key and grants all of these rights.
pub(super) fn covers(bucket: &str, key: &str, needs: &[Right]) -> bool {
    SCOPES.iter().any(|(own, prefix, rights)| {
        *own == bucket && key.starts_with(prefix) && needs.iter().all(|right| rights.contains(right))
    })
}

/// Returns the mapping of a client with [`SCOPES`].
pub(super) fn scoped() -> Mapping {
    of(&SCOPES)
}

/// Returns the mapping of a client with every right in `tmp`.
pub(super) fn trusted() -> Mapping {
    of(&[("tmp", "", &Right::ALL)])
}

fn of(scopes: &[(&str, &str, &[Right])]) -> Mapping {
    let scopes = scopes.iter().map(|(bucket, prefix, rights)| {
        let (bucket, prefix) = (BucketName::parse(bucket).unwrap(), Prefix::parse(prefix).unwrap());
        Scope::new(bucket, prefix, rights.iter().copied().collect())
    });
    Mapping::of_scopes("fuzzed", scopes.collect())
}
