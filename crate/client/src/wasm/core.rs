//! The exported class: one client, made of an engine, a network, and a pump for their events.

use std::sync::Arc;

use futures::{FutureExt, future::Shared};
use js_sys::{Promise, Reflect};
use pico_network::{Config, ConfigError, DialError, Keypair, Network};
use pico_sync::{
    Clock, Consensus, Handle, NetworkParams, ProofConfig, SyncConfig, SyncMode, query::Queries,
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

use super::{
    bridge::Bridge,
    convert, logger, pump,
    stored::{self, Stored},
    verifier::WorkerVerifier,
};
use crate::{
    error::{ClientError, ErrorCode},
    event::{ClientState, Peer},
    options::{self, Mode, Options},
    proof::Checks,
};

/// One client. An instance of the wasm has one at most: the rules of its network are global to it.
#[wasm_bindgen]
pub struct ClientCore {
    params: &'static NetworkParams,
    network: Arc<Network>,
    identity: Keypair,
    engine: Handle,
    queries: Queries<Network>,
    /// Resolves when engine and network have ended and the last event is out.
    ended: Shared<pump::Ended>,
}

/// What a client starts with. Preparing and starting are apart because both take a while, and the page should have
/// its thread in between.
#[wasm_bindgen]
pub struct PreparedClient {
    options: Options,
    stored: Stored,
    system: Clock,
    bridge: Bridge,
}

#[wasm_bindgen]
impl PreparedClient {
    /// Starts the client. `key` is the network's built-in key of election-chain proofs, if it has one and the options
    /// bring none.
    ///
    /// # Errors
    /// `invalid-options` and `unsupported`, naming the values.
    pub fn start(self, key: Option<Vec<u8>>) -> Result<ClientCore, JsValue> {
        // So that what it has set going waits for the next turn.
        Ok(pace::counted(|| ClientCore::start(self, key))?)
    }
}

#[wasm_bindgen]
impl ClientCore {
    /// Checks `options`, and reads what an earlier client has `stored` for this one to go on from.
    ///
    /// # Errors
    /// `invalid-options` and `unsupported`, naming the values.
    pub fn prepare(
        #[wasm_bindgen(unchecked_param_type = "ClientOptions | undefined")] options: &JsValue,
        bridge: &Bridge,
        #[wasm_bindgen(unchecked_param_type = "Stored | undefined")] stored: &JsValue,
    ) -> Result<PreparedClient, JsValue> {
        let options = Options::parse(&convert::options(options)?)?;
        logger::install(bridge, options.log_level);
        let params = options.network;
        if !params.install_policy() {
            let message = format!("this instance serves another network than {}", params.name);
            return Err(ClientError::new(ErrorCode::Unsupported, message).into());
        }
        options.check_checkpoint()?;
        let system = Clock::system();
        let stored = Stored::read(stored, params, &system, bridge);
        Ok(PreparedClient {
            options,
            stored,
            system,
            bridge: bridge.clone(),
        })
    }

    /// The network that this client joined.
    #[wasm_bindgen(getter, unchecked_return_type = "Network")]
    pub fn network(&self) -> String {
        self.params.name.to_owned()
    }

    /// A snapshot.
    #[wasm_bindgen(unchecked_return_type = "ClientState")]
    pub fn state(&self) -> JsValue {
        let traffic = self.network.traffic();
        let state = ClientState::new(
            &self.engine.snapshot(),
            traffic.bytes_received,
            traffic.bytes_sent,
        );
        convert::to_js(&state)
    }

    /// The connected peers.
    #[wasm_bindgen(unchecked_return_type = "PeerInfo[]")]
    pub fn peers(&self) -> JsValue {
        let outcomes = self.engine.outcomes();
        let peers: Vec<_> = self
            .network
            .peers()
            .iter()
            .map(|status| Peer::new(status, outcomes.get(&status.peer_id.to_string()).copied()))
            .collect();
        convert::to_js(&peers)
    }

    /// Dials a peer. Resolves when it can be used.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn connect(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string")] multiaddr: &JsValue,
    ) -> Promise {
        let address = options::multiaddr(&convert::plain(multiaddr));
        let network = self.network.clone();
        future_to_promise(async move {
            network.dial(address?).await.map_err(dial_error)?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Closes the connection to a peer. Resolves also if there was none.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn disconnect(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string", js_name = peerId)] peer_id: &JsValue,
    ) -> Promise {
        let peer = options::peer_id(&convert::plain(peer_id));
        let network = self.network.clone();
        future_to_promise(async move {
            network.disconnect(peer?).await;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Changes what is logged.
    ///
    /// # Errors
    /// `invalid-options`, naming the value.
    #[wasm_bindgen(js_name = setLogLevel)]
    pub fn set_log_level(
        &self,
        #[wasm_bindgen(unchecked_param_type = "LogLevel")] level: &JsValue,
    ) -> Result<(), JsValue> {
        log::set_max_level(options::log_level(&convert::plain(level))?);
        Ok(())
    }

    /// A record of what is worth keeping for the next run, as it is now; `undefined` if there is nothing.
    #[wasm_bindgen(unchecked_return_type = "Saved | undefined")]
    pub fn saved(
        &self,
        #[wasm_bindgen(unchecked_param_type = "RecordName")] record: &str,
    ) -> JsValue {
        stored::saved(
            record,
            self.params,
            &self.identity,
            &self.network,
            &self.engine,
        )
    }

    /// Says that the page runs again, or that time may have passed unnoticed: `frozen_ms` for sure.
    pub fn wake(&self, #[wasm_bindgen(js_name = frozenMs)] frozen_ms: f64) {
        self.network.wake();
        self.engine.wake(frozen_ms as u64);
    }

    /// Says that the page has lost or regained its network.
    #[wasm_bindgen(js_name = setOnline)]
    pub fn set_online(&self, online: bool) {
        self.engine.set_offline(!online);
        if online {
            self.network.start_connecting();
        } else {
            self.network.stop();
        }
    }

    /// Ends the client. Resolves when every connection is closed and the last event is out.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn close(&self) -> Promise {
        self.engine.close();
        let network = self.network.clone();
        let ended = self.ended.clone();
        future_to_promise(async move {
            network.close().await;
            // An error means that the pump is gone, and with it whatever there was to wait for.
            let _ = ended.await;
            Ok(JsValue::UNDEFINED)
        })
    }
}

impl ClientCore {
    /// For the methods that ask something of the chain.
    pub(super) fn queries(&self) -> &Queries<Network> {
        &self.queries
    }

    fn start(prepared: PreparedClient, built_in: Option<Vec<u8>>) -> Result<Self, ClientError> {
        let PreparedClient {
            options,
            stored,
            system,
            bridge,
        } = prepared;
        let params = options.network;
        let identity = stored.identity.clone();
        let network = Network::new(Config {
            desired_peers: options.desired_peers,
            allow_loopback: options.is_private_network(),
            secure_only: page_is_secure(),
            transports: options.transports,
            contacts: stored.contacts,
            ..Config::new(stored.identity, params.genesis().hash, options.peers)
        })
        .map_err(config_error)?;
        let clock = {
            let network = network.clone();
            Clock::new(move || {
                system
                    .now_ms()
                    .saturating_add_signed(network.clock_offset())
            })
        };
        let key = options.verifying_key.or_else(|| {
            let key = options::parse_key(&built_in?, params);
            // A file of the package that is damaged on the way: no reason to do without a client.
            key.map_err(|why| log::error!("the built-in verifying key: {why}"))
                .ok()
        });
        let config = SyncConfig {
            mode: match options.mode {
                Mode::Pico => SyncMode::Pico,
                Mode::Light => SyncMode::Light,
            },
            verify_in_background: options.verify_in_background,
            min_peers: options.min_peers,
            anchor: options.checkpoint,
            restored: stored.chain,
            proofs: key.as_ref().map(|key| ProofConfig {
                anchor_number: key.anchor_number(),
            }),
        };
        let verifier = Arc::new(WorkerVerifier::new(
            &bridge,
            clock.clone(),
            Checks::new(key),
        ));
        let (engine, handle) =
            Consensus::new(network.clone(), verifier, clock.clone(), params, config);
        let queries = engine.queries();
        // Subscribed before anything runs: no event is lost.
        let (pump, ended) = pump::new(bridge, clock, handle.events(), network.subscribe());
        spawn_local(pump.run());
        // Boxed, as everything that is spawned is copied around first.
        nimiq_utils::spawn(Box::pin(pace::paced(engine.run())));
        network.start_connecting();
        Ok(Self {
            params,
            network,
            identity,
            engine: handle,
            queries,
            ended: ended.shared(),
        })
    }
}

/// Whether browsers allow encrypted connections only from here.
fn page_is_secure() -> bool {
    let property = |of: &JsValue, name| Reflect::get(of, &JsValue::from_str(name)).ok();
    property(&js_sys::global(), "location")
        .and_then(|location| property(&location, "protocol"))
        .is_some_and(|protocol| protocol == "https:")
}

fn config_error(error: ConfigError) -> ClientError {
    let code = match error {
        ConfigError::Transport(_) | ConfigError::NoTransport(_) | ConfigError::NothingToDial(_) => {
            ErrorCode::Unsupported
        }
        _ => ErrorCode::InvalidOptions,
    };
    ClientError::new(code, error.to_string())
}

fn dial_error(error: DialError) -> ClientError {
    let code = match error {
        DialError::Unsupported(_) | DialError::Insecure(_) | DialError::TransportOff { .. } => {
            ErrorCode::Unsupported
        }
        DialError::Closed => ErrorCode::Closed,
        _ => ErrorCode::NoPeers,
    };
    ClientError::new(code, error.to_string())
}
