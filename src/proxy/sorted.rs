//! Sorted lists: reads the names of a folder until they can be sorted.

use super::call::Call;
use super::decision::Forward;
use super::reply::Served;
use super::{ClientBody, Proxy};
use crate::answer::listing::name::grouped;
use crate::answer::listing::order::{MAX_SORTED, Sorted, bytes_of};
use crate::answer::listing::place::PAGE_KEYS;
use crate::answer::listing::{Form, Page, Place, Position, Selection};
use crate::bounds::memory::Use;
use crate::proxy::browse::{Gathered, PageResponse};
use crate::refusal::{Refusal, Rule};
use http::Method;
use tokio::time::timeout;

impl Proxy {
    /// Reads the pages after the first one, up to [`MAX_SORTED`] names in all, and sorts the names. `held` is the memory of
    /// a page in bytes.
    ///
    /// # Errors
    /// When a form that must be complete has more names, when memory is short, or when the store takes too long.
    pub(super) async fn sort<B: ClientBody>(
        &self,
        call: &Call<'_, B>,
        (place, form): (&Place, Form),
        (mut page, held): (Page, usize),
        selection: &Selection,
    ) -> Result<Gathered, Refusal> {
        let gathering = self.gather(call, place, (&mut page, held));
        let gathered = timeout(self.limits().response_timeout, gathering).await;
        let gathered = gathered.map_err(|_| {
            Refusal::new(Rule::UpstreamTimeout, "the store did not list the folder in time: try again")
        });
        if let Some(other) = gathered?? {
            return Ok(Gathered::Other(other));
        }
        let is_whole = page.token.is_none();
        if !is_whole && form != Form::Page {
            let message = format!(
                "the folder has more than the {} names that can be sorted: leave out sort, order and offset",
                grouped(MAX_SORTED as u64)
            );
            return Err(Refusal::new(Rule::BadTarget, message));
        }
        let last = page.last_name(place).filter(|_| !is_whole);
        let sorted = Sorted { total: page.entries.len(), last };
        selection.order.sort(&mut page.entries);
        page.entries.drain(..selection.offset.min(sorted.total));
        if form == Form::Page {
            page.entries.truncate(PAGE_KEYS);
        }
        page.token = None;
        Ok(Gathered::Names(page, sorted))
    }

    /// Appends the names of further pages. Returns the store's response if it is not a page.
    async fn gather<B: ClientBody>(
        &self,
        call: &Call<'_, B>,
        place: &Place,
        (page, held): (&mut Page, usize),
    ) -> Result<Option<Served>, Refusal> {
        while page.entries.len() + PAGE_KEYS <= MAX_SORTED
            && let Some(token) = page.token.take()
        {
            let kept = bytes_of(&page.entries);
            call.account.grow_to(Use::Pages, held + kept)?;
            let position = Position::Token(token);
            let (path, query) = place.request(&position);
            let list = Forward::for_client(call.mapping, call.request(), &Method::GET, &path, Some(&query))?;
            match self.page(call.account, place, list, &position, kept).await? {
                PageResponse::Page(further, _) => page.append(further),
                PageResponse::Other(served) => return Ok(Some(served)),
            }
        }
        Ok(None)
    }
}
