//! A list as the body of a response: a page is asked of the store when the one before has been taken.

use super::page::Page;
use super::place::Position;
use super::rows::Rows;
use bytes::Bytes;
use http_body::{Body, Frame};
use http1::body::BoxError;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A page on its way.
pub type Coming = Pin<Box<dyn Future<Output = Result<Page, BoxError>>>>;

/// A folder's names, however many. What it holds of them at any time is one page; dropping it ends the asking.
pub struct Pages {
    rows: Rows,
    begun: String,
    first: bool,
    state: State,
    /// Asks for a further page; none where the first is all.
    ask: Option<Box<dyn FnMut(Position) -> Coming>>,
}

enum State {
    Have(Page),
    Await(Coming),
    Done,
}

impl Pages {
    /// The list that begins with `page`; `shown` is the folder's path, `ask` gets further pages, if there are any.
    pub fn new(
        rows: Rows,
        shown: &str,
        page: Page,
        ask: Option<impl FnMut(Position) -> Coming + 'static>,
    ) -> Self {
        let ask = ask.map(|ask| Box::new(ask) as Box<dyn FnMut(Position) -> Coming>);
        Self { begun: rows.head(shown), rows, first: true, state: State::Have(page), ask }
    }

    /// The rows of a page, with what stands before and behind them. Without a further page it is done.
    fn write(&mut self, page: Page) -> Bytes {
        let mut out = std::mem::take(&mut self.begun);
        for entry in &page.entries {
            self.rows.row(entry, self.first, &mut out);
            self.first = false;
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
