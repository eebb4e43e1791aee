//! Log records on their way to the wrapper, which knows whether the console or the page gets them.

use std::cell::Cell;

use log::{LevelFilter, Log, Metadata, Record};
use send_wrapper::SendWrapper;

use super::bridge::Bridge;

struct BridgeLogger {
    bridge: SendWrapper<Bridge>,
    busy: SendWrapper<Cell<bool>>,
}

impl Log for BridgeLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What `tracing` says of its own spans tells nobody anything.
        metadata.level() <= log::max_level() && !metadata.target().starts_with("tracing::span")
    }

    fn log(&self, record: &Record<'_>) {
        // Whatever is logged while a record is being logged would never end.
        if !self.enabled(record.metadata()) || self.busy.replace(true) {
            return;
        }
        let level = match record.level() {
            log::Level::Error => "error",
            log::Level::Warn => "warn",
            log::Level::Info => "info",
            log::Level::Debug => "debug",
            log::Level::Trace => "trace",
        };
        // There is nowhere to log that logging failed.
        let _ = self
            .bridge
            .log(level, record.target(), &record.args().to_string());
        self.busy.set(false);
    }

    fn flush(&self) {}
}

/// Sends records to `bridge` from now on. An instance has one client, so this happens once.
pub(crate) fn install(bridge: &Bridge, level: LevelFilter) {
    let logger = BridgeLogger {
        bridge: SendWrapper::new(bridge.clone()),
        busy: SendWrapper::new(Cell::new(false)),
    };
    // Lives as long as the instance, like the client.
    if log::set_logger(Box::leak(Box::new(logger))).is_err() {
        log::warn!("A logger is installed already.");
    }
    log::set_max_level(level);
}
