//! What a gateway is told: by flags, and by a file in TOML whose keys are named like the flags. A flag
//! overrides the file. Every value is checked, and one that is wrong is named with where it came from.

use std::{
    fmt::Display,
    fs::File,
    io::Read,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Args;
use nimiq_primitives::networks::NetworkId;
use pico_network::{Multiaddr, validate_multiaddr};
use serde::Deserialize;

use super::{
    super::{
        end::Failure,
        logging::{LogFilter, LogFormat},
    },
    address::{Announced, listen_address},
};

/// Networks by name. The legacy ones have no nodes that speak the protocol.
const NETWORKS: [(&str, NetworkId); 4] = [
    ("main-albatross", NetworkId::MainAlbatross),
    ("test-albatross", NetworkId::TestAlbatross),
    ("dev-albatross", NetworkId::DevAlbatross),
    ("unit-albatross", NetworkId::UnitAlbatross),
];
/// Clients unless told otherwise.
const DEFAULT_MAX_CLIENTS: u32 = 4096;
/// Clients that one process may be allowed.
const CLIENTS: RangeInclusive<u32> = 1..=100_000;
/// Upstreams at most: more would only be connections that nobody needs.
const MAX_UPSTREAMS: usize = 16;
/// Addresses that fit in the contact that others are told, as the protocol has it.
const MAX_ADDRESSES: usize = 15;
/// Bytes of the longest file that is read.
const MAX_FILE: u64 = 1024 * 1024;
/// What is logged unless told otherwise: of ours what is good to know, of others nothing.
const DEFAULT_LOG: &str = "pico_=info";

/// Flags of `pico-node gateway`.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct GatewayArgs {
    /// Reads what the other flags don't say from this file, in TOML; its keys are the names of the
    /// flags. Paths in it are relative to its folder
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The network: main-albatross, test-albatross, dev-albatross or unit-albatross
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// A node to connect to, /ip4|ip6|dns4|dns6/HOST/tcp/PORT/ws|wss[/p2p/ID]. May be repeated
    #[arg(long, value_name = "MULTIADDR")]
    upstream: Vec<String>,
    /// Where clients are let in, /ip4|ip6/IP/tcp/PORT/ws or /ip4|ip6/IP/udp/PORT/webrtc-direct. May be
    /// repeated. With IP 0.0.0.0 or :: on all interfaces, with PORT 0 on any free port
    #[arg(long, value_name = "MULTIADDR")]
    listen: Vec<String>,
    /// An address to tell clients in place of those listened on, as behind NAT or a TLS proxy. May be
    /// repeated. The certificate's hash and the peer id are added where they are left out
    #[arg(long, value_name = "MULTIADDR")]
    announce: Vec<String>,
    /// Serves the proofs of this folder, which `pico-node prove` writes to
    #[arg(long, value_name = "DIR")]
    proofs: Option<PathBuf>,
    /// Keeps identity and certificate in this folder, so that addresses stay the same. Without it they
    /// are new with each start
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Answers /metrics and /health here. There is no encryption and no password: keep it private
    #[arg(long, value_name = "IP:PORT")]
    http: Option<String>,
    /// Clients at once [default: 4096]
    #[arg(long, value_name = "N")]
    max_clients: Option<String>,
    /// Clients at once from one IP address [default: as many as there may be in all]
    #[arg(long, value_name = "N")]
    max_clients_per_ip: Option<String>,
    /// Tells addresses of this machine and of private networks, too: for development
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_loopback: Option<bool>,
    /// How to log to stderr: text, or json: one object a line [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Ends when the process that started it does
    #[arg(long)]
    pub(super) exit_with_parent: bool,
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileContent {
    network: Option<String>,
    #[serde(default)]
    upstream: Vec<String>,
    #[serde(default)]
    listen: Vec<String>,
    #[serde(default)]
    announce: Vec<String>,
    proofs: Option<PathBuf>,
    data: Option<PathBuf>,
    http: Option<String>,
    max_clients: Option<i64>,
    max_clients_per_ip: Option<i64>,
    allow_loopback: Option<bool>,
    log: Option<String>,
    log_format: Option<String>,
}

/// What a gateway is told, checked.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) network_name: &'static str,
    pub(super) network: NetworkId,
    pub(super) upstreams: Vec<Multiaddr>,
    pub(super) listen: Vec<Multiaddr>,
    pub(super) announce: Vec<Announced>,
    pub(super) proofs: Option<PathBuf>,
    pub(super) data: Option<PathBuf>,
    pub(super) http: Option<SocketAddr>,
    pub(super) max_clients: u32,
    pub(super) max_clients_per_ip: Option<u32>,
    pub(super) allow_loopback: bool,
    pub(super) log: LogFilter,
    pub(super) log_format: LogFormat,
}

impl Settings {
    /// Reads the file, if one is named, and checks everything. `log` is the flag of that name.
    pub(super) fn read(args: GatewayArgs, log: Option<LogFilter>) -> Result<Self, Failure> {
        let (file, path) = match args.config {
            Some(path) => (read_file(&path)?, path),
            None => Default::default(),
        };
        let source = Source(&path);
        let (network_name, network) = source
            .pick("network", args.network, file.network)
            .ok_or_else(|| missing("network", "the network's name"))?
            .parse(network)?;
        let upstreams = source
            .list("upstream", args.upstream, file.upstream, MAX_UPSTREAMS)?
            .parse(|text| validate_multiaddr(text).map_err(|error| error.to_string()))?;
        if upstreams.is_empty() {
            return Err(missing("upstream", "a node's address"));
        }
        let listen = source
            .list("listen", args.listen, file.listen, MAX_ADDRESSES)?
            .parse(listen_address)?;
        if listen.is_empty() {
            return Err(missing("listen", "an address to listen on"));
        }
        let announce = source
            .list("announce", args.announce, file.announce, MAX_ADDRESSES)?
            .parse(Announced::from_str)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let proofs = source.pick(
            "proofs",
            args.proofs,
            file.proofs.map(|path| folder.join(path)),
        );
        if let Some(Given { name, value }) = &proofs
            && !value.is_dir()
        {
            let shown = value.display();
            return Err(wrong(name, &shown, "there is no such folder"));
        }
        let http = source.pick("http", args.http, file.http).map(|given| {
            given.parse(|text| {
                text.parse()
                    .map_err(|_| "it takes IP:PORT, like 127.0.0.1:9100")
            })
        });
        let max_clients = source
            .pick("max-clients", args.max_clients, file.max_clients.map(text))
            .map_or(Ok(DEFAULT_MAX_CLIENTS), |given| {
                given.parse(|text| whole(text, CLIENTS))
            })?;
        let per_ip = file.max_clients_per_ip.map(text);
        let max_clients_per_ip = source
            .pick("max-clients-per-ip", args.max_clients_per_ip, per_ip)
            .map(|given| given.parse(|text| whole(text, 1..=max_clients)));
        let of_file = file.log.map(|text| Given {
            name: source.name("log"),
            value: text,
        });
        let log = match (log, of_file) {
            (Some(log), _) => log,
            (None, Some(given)) => given.parse(LogFilter::from_str)?,
            (None, None) => DEFAULT_LOG
                .parse()
                .map_err(|_| Failure::Other("no log".into()))?,
        };
        let log_format = source
            .pick("log-format", args.log_format, file.log_format)
            .map_or(Ok(LogFormat::Text), |given| {
                given.parse(LogFormat::from_str)
            })?;
        Ok(Self {
            network_name,
            network,
            upstreams,
            listen,
            announce,
            proofs: proofs.map(|given| given.value),
            data: args.data.or(file.data.map(|path| folder.join(path))),
            http: http.transpose()?,
            max_clients,
            max_clients_per_ip: max_clients_per_ip.transpose()?,
            allow_loopback: args
                .allow_loopback
                .or(file.allow_loopback)
                .unwrap_or_default(),
            log,
            log_format,
        })
    }
}

/// What the file is called in messages.
struct Source<'a>(&'a Path);

impl Source<'_> {
    /// How a key of the file is named in messages.
    fn name(&self, key: &str) -> String {
        format!("{}: {key}", self.0.display())
    }

    /// The value of the flag, else that of the file.
    fn pick<T>(&self, key: &str, flag: Option<T>, file: Option<T>) -> Option<Given<T>> {
        let of_flag = flag.map(|value| Given {
            name: format!("--{key}"),
            value,
        });
        of_flag.or_else(|| {
            file.map(|value| Given {
                name: self.name(key),
                value,
            })
        })
    }

    /// The values of the flag if it was given, else those of the file. Each once, and not too many.
    fn list(
        &self,
        key: &str,
        flags: Vec<String>,
        file: Vec<String>,
        most: usize,
    ) -> Result<Given<Vec<String>>, Failure> {
        let flags = (!flags.is_empty()).then_some(flags);
        let given = self.pick(key, flags, Some(file)).unwrap_or(Given {
            name: String::new(),
            value: Vec::new(),
        });
        let Given { name, value } = &given;
        if value.len() > most {
            return Err(wrong(name, &value.len(), &format!("at most {most} fit")));
        }
        for (i, text) in value.iter().enumerate() {
            if value[..i].contains(text) {
                return Err(wrong(name, text, "it is there twice"));
            }
        }
        Ok(given)
    }
}

/// A value, and where it came from.
struct Given<T> {
    name: String,
    value: T,
}

impl Given<String> {
    fn parse<T, E: Display>(self, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, Failure> {
        parse(&self.value).map_err(|reason| wrong(&self.name, &self.value, &reason))
    }
}

impl Given<Vec<String>> {
    fn parse<T, E: Display>(self, parse: impl Fn(&str) -> Result<T, E>) -> Result<Vec<T>, Failure> {
        let name = &self.name;
        let parse = |text: &String| parse(text).map_err(|reason| wrong(name, text, &reason));
        self.value.iter().map(parse).collect()
    }
}

fn wrong(name: &str, value: &dyn Display, reason: &(impl Display + ?Sized)) -> Failure {
    Failure::Argument(format!("{name}: \"{value}\": {reason}"))
}

fn missing(key: &str, what: &str) -> Failure {
    Failure::Argument(format!(
        "{what} is missing: give --{key}, or {key} in the file of --config"
    ))
}

fn network(text: &str) -> Result<(&'static str, NetworkId), String> {
    NETWORKS
        .into_iter()
        .find(|(name, _)| *name == text)
        .ok_or_else(|| format!("there is {}", NETWORKS.map(|(name, _)| name).join(", ")))
}

fn whole(text: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            format!(
                "it takes a number from {} to {}",
                range.start(),
                range.end()
            )
        })
}

fn text(number: i64) -> String {
    number.to_string()
}

fn read_file(path: &Path) -> Result<FileContent, Failure> {
    let failed = |reason: String| Failure::Argument(format!("{}: {reason}", path.display()));
    let mut content = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_string(&mut content))
        .map_err(|error| failed(format!("can't read it: {error}")))?;
    toml::from_str(&content).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = content.get(..start).unwrap_or_default();
        let number = before.matches('\n').count();
        let line = content.lines().nth(number).unwrap_or_default().trim();
        let reason = error.message();
        failed(format!("line {}, {line}: {reason}", number + 1))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NODE: &str = "/ip4/127.0.0.1/tcp/8443/ws";
    const FILE: &str = r#"
network = "unit-albatross"
upstream = ["/dns4/seed.example/tcp/443/wss", "/ip4/127.0.0.1/tcp/8443/ws"]
listen = ["/ip4/0.0.0.0/tcp/9000/ws"]
data = "state"
max-clients = 7
allow-loopback = true
log = "debug"
log-format = "json"
"#;

    fn with_file(content: &str, args: GatewayArgs) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.toml");
        std::fs::write(&path, content).unwrap();
        let args = GatewayArgs {
            config: Some(path),
            ..args
        };
        Settings::read(args, None).map_err(|failure| failure.to_string())
    }

    #[test]
    fn the_file_says_what_flags_do_not() {
        let settings = with_file(FILE, GatewayArgs::default()).unwrap();
        assert_eq!(settings.network, NetworkId::UnitAlbatross);
        assert_eq!(settings.upstreams.len(), 2);
        assert_eq!(settings.max_clients, 7);
        assert_eq!(settings.max_clients_per_ip, None);
        assert!(settings.allow_loopback);
        assert_eq!(settings.log_format, LogFormat::Json);
        let data = settings.data.unwrap();
        assert!(data.is_absolute() && data.ends_with("state"), "{data:?}");

        let args = GatewayArgs {
            upstream: vec![NODE.into()],
            max_clients: Some("8".into()),
            allow_loopback: Some(false),
            data: Some("elsewhere".into()),
            ..GatewayArgs::default()
        };
        let settings = with_file(FILE, args).unwrap();
        assert_eq!(settings.upstreams, [NODE.parse().unwrap()]);
        assert_eq!(settings.max_clients, 8);
        assert!(!settings.allow_loopback);
        assert_eq!(settings.data.unwrap(), Path::new("elsewhere"));
    }

    #[test]
    fn each_bad_value_of_the_file_is_named() {
        for (line, named) in [
            (
                "upstreams = []",
                "line 1, upstreams = []: unknown field `upstreams`",
            ),
            ("network = \"neverland\"", "network: \"neverland\""),
            ("network = \"main\"", "network: \"main\""),
            ("network = 5", "line 1, network = 5"),
            ("network =", "line 1, network ="),
            ("http = \"localhost:80\"", "http: \"localhost:80\""),
            (
                "max-clients = 0",
                "max-clients: \"0\": it takes a number from 1",
            ),
            ("max-clients = -1", "max-clients: \"-1\""),
            ("max-clients = \"5\"", "line 1, max-clients = \"5\""),
            ("max-clients-per-ip = 5000", "max-clients-per-ip: \"5000\""),
            ("log = \"loud\"", "log: \"loud\""),
            ("log-format = \"xml\"", "log-format: \"xml\""),
            ("proofs = \"nowhere\"", "nowhere\": there is no such folder"),
            (
                "listen = [\"/ip4/1.2.3.4/tcp/1\"]",
                "listen: \"/ip4/1.2.3.4/tcp/1\"",
            ),
            ("upstream = [\"x\"]", "upstream: \"x\""),
            ("announce = [\"x\"]", "announce: \"x\""),
        ] {
            // What is not wrong here comes by flags.
            let unless = |key: &str, value: &str| {
                let is_there = line.starts_with(&format!("{key} "));
                if is_there {
                    vec![]
                } else {
                    vec![value.to_owned()]
                }
            };
            let args = GatewayArgs {
                network: unless("network", "unit-albatross").pop(),
                upstream: unless("upstream", NODE),
                listen: unless("listen", "/ip4/127.0.0.1/tcp/0/ws"),
                ..GatewayArgs::default()
            };
            let error = with_file(line, args).unwrap_err();
            assert!(error.contains("gateway.toml: "), "{line}: {error}");
            assert!(error.contains(named), "{line}: {error}");
        }
    }
}
