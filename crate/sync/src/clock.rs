//! What time it is, as far as block timestamps go. Where it comes from (the system, a peer-adjusted
//! clock, a test's virtual time) is the caller's business. [`Instant`] is for how long things take,
//! in the same time as `nimiq-time` has its timers in: natively that can be a test's virtual time.

use std::{fmt, sync::Arc};

#[cfg(not(target_family = "wasm"))]
pub(crate) use tokio::time::Instant;
#[cfg(target_family = "wasm")]
pub(crate) use web_time::Instant;
use web_time::{SystemTime, UNIX_EPOCH};

/// A source of Unix time in milliseconds. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// A clock that asks `now` for the Unix time in milliseconds.
    pub fn new(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The clock of the machine. One that is set before 1970 reads as 0.
    pub fn system() -> Self {
        Self::new(|| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |elapsed| {
                    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
                })
        })
    }

    /// Unix time in milliseconds.
    pub fn now_ms(&self) -> u64 {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now_ms())
    }
}
