//! identify

pub mod browser;
pub mod client;
pub mod matcher;
pub mod virtual_host;
