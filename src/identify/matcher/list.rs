//! Mappings that are tried one by one.

use super::Matcher;
use crate::identify::client::Client;
use std::sync::Arc;

/// Mappings with their positions, in ascending order.
pub(super) type List = Vec<(u32, Arc<Matcher>)>;

/// Returns the first mapping of a list that admits `client`, if it comes before `limit`.
pub(super) fn first(list: &[(u32, Arc<Matcher>)], client: &Client<'_>, limit: Option<u32>) -> Option<u32> {
    list.iter()
        .take_while(|(index, _)| limit.is_none_or(|limit| *index < limit))
        .find(|(_, matcher)| matcher.admits(client))
        .map(|(index, _)| *index)
}
