//! Logs of this program and of the nimiq crates, on stderr.

use std::{fmt, io::Write};

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Writes to stderr; what this program itself warns of always comes through.
struct StderrLog {
    level: LevelFilter,
}

impl Log for StderrLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.level
            || (metadata.level() <= Level::Warn && metadata.target().starts_with("pico_node"))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let (level, target) = (record.level(), record.target());
            tell(format_args!("{level} {target}: {}", record.args()));
        }
    }

    fn flush(&self) {}
}

/// Logs from now on.
pub(super) fn init(level: LevelFilter) {
    // It fails only if there is a logger, which only this function installs.
    if log::set_boxed_logger(Box::new(StderrLog { level })).is_ok() {
        log::set_max_level(level.max(LevelFilter::Warn));
    }
}

/// Writes a line to stderr. There is nowhere to tell that this failed.
pub(super) fn tell(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
