//! `pico-node gateway`.
//!
//! Reads what it is told, keeps the gateway running until the process shall end, and tells how it is
//! doing: its addresses on stdout, the rest on stderr and by HTTP.

mod address;
mod settings;

use std::{sync::Arc, time::Duration};

use pico_node::gateway::{
    Gateway, GatewayConfig, GatewayError,
    ops::{DataFolder, FolderError, Health, HttpError, HttpServer, Page, Secrets, health, metrics},
};

pub(super) use self::settings::GatewayArgs;
use self::settings::Settings;
use super::{
    devnet::print_line,
    end::{Ends, Failure},
    logging::{self, LogFilter},
};

/// How long an upstream may take before it is said that there is none.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long requests under way may hold up the end.
const GRACE: Duration = Duration::from_secs(3);

/// Runs a gateway until the process shall end.
pub(super) async fn run(args: GatewayArgs, log: Option<LogFilter>) -> Result<(), Failure> {
    let with_parent = args.exit_with_parent;
    let settings = Settings::read(args, log)?;
    logging::init(settings.log.clone(), settings.log_format);
    let (mut ends, failures) = Ends::new(with_parent)
        .map_err(|error| Failure::Other(format!("can't listen for signals: {error}")))?;

    let folder = settings.data.as_ref().map(DataFolder::open).transpose()?;
    let secrets = match &folder {
        Some(folder) => folder.secrets()?,
        None => {
            log::warn!("Without --data, the addresses are others with each start");
            Secrets::generate()?
        }
    };
    let network = settings.network_name;
    let http = settings.http;
    let config = config(settings, secrets)?;
    let gateway = tokio::select! {
        end = ends.wait() => return end,
        started = Gateway::start(config) => Arc::new(started?),
    };
    let server = match http {
        Some(address) => match HttpServer::start(address, pages(&gateway, network)).await {
            Ok(server) => {
                log::info!("Metrics and health at http://{}", server.address());
                Some(server)
            }
            Err(error) => {
                gateway.stop(Duration::ZERO).await;
                return Err(error.into());
            }
        },
        None => None,
    };
    for address in gateway.addresses() {
        print_line(&address.to_string(), &failures);
    }

    let end = tokio::select! {
        end = ends.wait() => end,
        never = tell_when_ready(&gateway) => match never {},
    };
    log::info!("Ending");
    tokio::select! {
        () = gateway.stop(GRACE) => {}
        // Whoever says so twice doesn't want to wait.
        _ = ends.wait() => {}
    }
    drop(server);
    end
}

fn config(settings: Settings, secrets: Secrets) -> Result<GatewayConfig, Failure> {
    let Secrets {
        identity,
        certificate,
    } = secrets;
    let peer_id = identity.public().to_peer_id();
    let announce = settings.announce.iter().map(|announced| {
        announced
            .complete(peer_id, &certificate)
            .map_err(|reason| Failure::Argument(format!("announce: {reason}")))
    });
    let announce = announce.collect::<Result<_, _>>()?;
    let mut config = GatewayConfig::new(
        settings.network,
        identity,
        settings.upstreams,
        settings.listen,
    );
    config.certificate = Some(certificate);
    config.announce = announce;
    config.proofs = settings.proofs;
    config.allow_loopback = settings.allow_loopback;
    config.max_clients = settings.max_clients;
    config.max_clients_per_ip = settings.max_clients_per_ip;
    Ok(config)
}

/// What is answered by HTTP.
fn pages(
    gateway: &Arc<Gateway>,
    network: &'static str,
) -> impl Fn(&str) -> Option<Page> + Send + Sync + 'static {
    let gateway = Arc::clone(gateway);
    move |path| match path {
        "/metrics" => metrics(gateway.stats()).ok(),
        "/health" => {
            let (peer, addresses) = (gateway.peer_id(), gateway.addresses());
            let state = Health::new(network, peer, &addresses, &gateway.stats());
            Some(health(&state))
        }
        _ => None,
    }
}

/// Says when clients can be served, and that it waits if that takes long.
async fn tell_when_ready(gateway: &Gateway) -> std::convert::Infallible {
    if tokio::time::timeout(PATIENCE, gateway.ready())
        .await
        .is_err()
    {
        log::warn!("No upstream answers yet; trying again and again");
        gateway.ready().await;
    }
    log::info!("Ready: an upstream is connected");
    std::future::pending().await
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        let message = format!("--data: {error}");
        match error {
            FolderError::Io { .. } | FolderError::Damaged { .. } => Self::Io(message),
            FolderError::InUse(_) => Self::Argument(message),
            FolderError::Certificate(_) => Self::Other(message),
        }
    }
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        match error {
            // It names the address.
            GatewayError::Listen { source, .. } => {
                let message = format!("--listen: {source}");
                // The transports have no other word for it than that of the system.
                if message.contains("in use") {
                    Self::PortInUse(message)
                } else {
                    Self::Argument(message)
                }
            }
            GatewayError::Swarm(_) => Self::Other(error.to_string()),
            _ => Self::Argument(error.to_string()),
        }
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        let message = format!("--http: {error}");
        match error.source.kind() {
            std::io::ErrorKind::AddrInUse => Self::PortInUse(message),
            _ => Self::Argument(message),
        }
    }
}
