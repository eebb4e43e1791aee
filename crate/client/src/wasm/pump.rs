//! Carries events from engine and network to the wrapper, in one order, to the last one.

use futures::{
    FutureExt, StreamExt,
    channel::oneshot,
    future::{self, Either},
};
use pico_network::{NetworkNotice, NoticeStream};
use pico_sync::{Clock, ConsensusState, SyncEvent, TimedEvent};
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};

use super::bridge::Bridge;
use crate::event::{NetworkEvent, Timed};

/// Resolves when the last event is out.
pub(crate) type Ended = oneshot::Receiver<()>;

/// See the module's documentation.
pub(crate) struct Pump {
    bridge: Bridge,
    clock: Clock,
    engine: BroadcastStream<TimedEvent>,
    network: NoticeStream,
    ended: oneshot::Sender<()>,
}

pub(crate) fn new(
    bridge: Bridge,
    clock: Clock,
    engine: BroadcastStream<TimedEvent>,
    network: NoticeStream,
) -> (Pump, Ended) {
    let (ended, receiver) = oneshot::channel();
    (
        Pump {
            bridge,
            clock,
            engine,
            network,
            ended,
        },
        receiver,
    )
}

impl Pump {
    /// Runs until the engine says that it is closed and the network has ended.
    pub(crate) async fn run(mut self) {
        let (mut engine_open, mut network_open) = (true, true);
        while engine_open || network_open {
            let engine = match engine_open {
                true => self.engine.next().left_future(),
                false => future::pending().right_future(),
            };
            let network = match network_open {
                true => self.network.next().left_future(),
                false => future::pending().right_future(),
            };
            match future::select(engine, network).await {
                Either::Left((event, _)) => engine_open = self.engine_event(event),
                Either::Right((notice, _)) => network_open = self.notice(notice),
            }
        }
        // An error means that nobody waits.
        let _ = self.ended.send(());
    }

    fn engine_event(&self, event: Option<Result<TimedEvent, BroadcastStreamRecvError>>) -> bool {
        match event {
            Some(Ok(event)) => {
                self.bridge.tell(&event);
                event.event
                    != SyncEvent::Consensus {
                        state: ConsensusState::Closed,
                    }
            }
            Some(Err(missed)) => self.lagged(missed),
            None => false,
        }
    }

    fn notice(&self, notice: Option<Result<NetworkNotice, BroadcastStreamRecvError>>) -> bool {
        match notice {
            Some(Ok(notice)) => self.network_event(notice.into()),
            Some(Err(missed)) => self.lagged(missed),
            None => false,
        }
    }

    fn lagged(&self, BroadcastStreamRecvError::Lagged(missed): BroadcastStreamRecvError) -> bool {
        self.network_event(NetworkEvent::Lagged { missed })
    }

    fn network_event(&self, event: NetworkEvent) -> bool {
        self.bridge.tell(&Timed {
            at: self.clock.now_ms(),
            event,
        });
        true
    }
}
