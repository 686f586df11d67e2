//! Lists for people: what a path that ends in `/` is answered with when no S3 client asks.
//!
//! A list is made of `ListObjectsV2` requests that are granted, signed and sent as a client's own would be. What is
//! shown is the path as the client sees it; what is asked of the store is a bucket and a prefix. A [`Place`] holds both.

pub mod html;
pub mod name;
pub mod page;
pub mod pages;
pub mod place;
pub mod plan;
pub mod rows;

pub use page::Page;
pub use pages::Pages;
pub use place::{Crumb, Place, Position};
pub use plan::{Plan, Step};

#[cfg(test)]
mod tests;
