//! Logs of this program and of the nimiq crates, on stderr.

use std::{fmt, io::Write, str::FromStr};

use log::{Level, LevelFilter, Log, Metadata, Record};
use thiserror::Error;

/// What is logged: all from a level on, perhaps of just one module and those in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogFilter {
    target: Option<String>,
    level: LevelFilter,
}

/// It is neither a level nor a module with one.
#[derive(Debug, Error)]
#[error("it takes LEVEL or MODULE=LEVEL")]
pub(super) struct NoLogFilter;

impl FromStr for LogFilter {
    type Err = NoLogFilter;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (target, level) = match text.split_once('=') {
            Some((target, level)) => (Some(target.to_owned()), level),
            None => (None, text),
        };
        let level = level.parse().map_err(|_| NoLogFilter)?;
        Ok(Self { target, level })
    }
}

/// Writes to stderr; what this program itself warns of always comes through.
struct StderrLog {
    filter: LogFilter,
}

impl Log for StderrLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let LogFilter { target, level } = &self.filter;
        let is_meant = target
            .as_ref()
            .is_none_or(|target| metadata.target().starts_with(target));
        (is_meant && metadata.level() <= *level)
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
pub(super) fn init(filter: LogFilter) {
    let level = filter.level;
    // It fails only if there is a logger, which only this function installs.
    if log::set_boxed_logger(Box::new(StderrLog { filter })).is_ok() {
        log::set_max_level(level.max(LevelFilter::Warn));
    }
}

/// Writes a line to stderr. There is nowhere to tell that this failed.
pub(super) fn tell(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
