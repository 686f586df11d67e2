//! Streams a list as a response body. Each page is requested from the store once the client has taken the page
//! before.

use super::page::Page;
use super::place::Position;
use super::rows::Rows;
use bytes::Bytes;
use http_body::{Body, Frame};
use http1::body::BoxError;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A page that has been requested.
pub(crate) type PendingPage = Pin<Box<dyn Future<Output = Result<Page, BoxError>>>>;

/// All names in a folder. It holds one page at a time; dropping it stops the requests.
pub(crate) struct Pages {
    rows: Rows,
    head: String,
    is_first: bool,
    state: State,
    /// Requests a further page; `None` if the first page is the only one.
    ask: Option<Box<dyn FnMut(Position) -> PendingPage>>,
}

enum State {
    Have(Page),
    Await(PendingPage),
    Done,
}

impl Pages {
    /// Returns a list that begins with `page`. `shown` is the folder's path; `ask` requests further pages.
    pub(crate) fn new(
        rows: Rows,
        shown: &str,
        page: Page,
        ask: Option<impl FnMut(Position) -> PendingPage + 'static>,
    ) -> Self {
        let ask = ask.map(|ask| Box::new(ask) as Box<dyn FnMut(Position) -> PendingPage>);
        Self { head: rows.head(shown), rows, is_first: true, state: State::Have(page), ask }
    }

    /// Writes the rows of a page, with the head before the first page and the tail after the last.
    fn write(&mut self, page: Page) -> Bytes {
        let mut out = std::mem::take(&mut self.head);
        for entry in &page.entries {
            self.rows.row(entry, self.is_first, &mut out);
            self.is_first = false;
        }
        match (page.token, &mut self.ask) {
            (Some(token), Some(ask)) => self.state = State::Await(ask(Position::Token(token))),
            _ => out.push_str(self.rows.tail()),
        }
        out.into()
    }
}

impl Body for Pages {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            let page = match std::mem::replace(&mut this.state, State::Done) {
                State::Done => return Poll::Ready(None),
                State::Have(page) => page,
                State::Await(mut coming) => match coming.as_mut().poll(cx) {
                    Poll::Ready(page) => page?,
                    Poll::Pending => {
                        this.state = State::Await(coming);
                        return Poll::Pending;
                    }
                },
            };
            let chunk = this.write(page);
            if !chunk.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Done)
    }
}
