//! What surrounds a running gateway: the folder that keeps its identity, and what it tells those who
//! operate it, by HTTP.
//!
//! What a gateway does for its clients is the business of the modules next to this one; which flags
//! and configuration there are, that of the command line.

mod folder;
mod health;
mod http;
mod metrics;

pub use self::{
    folder::{DataFolder, FolderError, Secrets},
    health::{Health, health},
    http::{HttpError, HttpServer, Page},
    metrics::metrics,
};
