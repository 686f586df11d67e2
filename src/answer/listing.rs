//! Lists for people and for programs that follow links: the response to a path that ends in `/`, unless an S3 client
//! asks.
//!
//! A list consists of `ListObjectsV2` requests that are granted, signed and sent like a client's own. Pages show the
//! path as the client sees it; the store gets a bucket and a prefix. A [`Place`] holds both.

pub mod above;
pub mod form;
pub mod html;
pub mod index;
pub mod name;
pub mod page;
pub mod pages;
pub mod place;
pub mod plan;
pub mod rows;
pub mod scopes;

pub use above::Above;
pub use form::Form;
pub use page::Page;
pub use pages::Pages;
pub use place::{Crumb, Place, Position};
pub use plan::{Needs, Plan, Step};

#[cfg(test)]
mod tests;
