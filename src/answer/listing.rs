//! Lists for people and for programs that follow links: the response to a path that ends in `/`, except for S3
//! clients.
//!
//! A list consists of `ListObjectsV2` requests that are granted, signed and sent like a client's own. Pages show the
//! path as the client sees it; the store gets a bucket and a prefix. A [`Place`] holds both.

pub(crate) mod above;
pub(crate) mod form;
pub(crate) mod html;
pub(crate) mod index;
pub(crate) mod name;
pub(crate) mod order;
pub(crate) mod page;
pub(crate) mod pages;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod rows;
pub(crate) mod scopes;

pub(crate) use above::Above;
pub(crate) use form::Form;
pub(crate) use order::Selection;
pub(crate) use page::Page;
pub(crate) use pages::Pages;
pub(crate) use place::{Place, Position};
pub(crate) use plan::{Needs, Plan, Step};

#[cfg(test)]
mod tests;
