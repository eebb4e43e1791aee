//! `pico-node gateway` on the command line: configuration, what it keeps and tells, signals.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    path::Path,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use pico_network::{Config, Network, Services, new_identity};
use pico_node::chain::genesis_block;
use serde_json::Value;

/// Longest wait for anything that should happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// Nobody listens there: the discard port of this machine.
const NOBODY: &str = "/ip4/127.0.0.1/tcp/9/ws";
const ANY_WS: &str = "/ip4/127.0.0.1/tcp/0/ws";
const ANY_WEBRTC: &str = "/ip4/127.0.0.1/udp/0/webrtc-direct";

/// A process that doesn't outlive the test.
struct Gateway {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    http: String,
}

impl Gateway {
    /// Starts one that logs as JSON, and waits until it answers by HTTP.
    fn start(args: &[&str]) -> Self {
        let mut child = command(&["--http", "127.0.0.1:0", "--log-format", "json"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut gateway = Self {
            child,
            stdout,
            stderr,
            http: String::new(),
        };
        let message = gateway.logs("Metrics and health at http://");
        gateway.http = message.rsplit('/').next().unwrap().to_owned();
        gateway
    }

    /// The next message that begins so. Each line is an object with the same members.
    fn logs(&mut self, begin: &str) -> String {
        loop {
            let mut line = String::new();
            self.stderr.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "it ended before it said {begin}");
            let record: Value = serde_json::from_str(&line).unwrap();
            let members: Vec<&String> = record.as_object().unwrap().keys().collect();
            assert_eq!(members, ["level", "message", "target", "time"], "{line}");
            assert!(record["time"].as_str().unwrap().ends_with('Z'), "{line}");
            let message = record["message"].as_str().unwrap();
            if message.starts_with(begin) {
                return message.to_owned();
            }
        }
    }

    fn addresses(&mut self, count: usize) -> Vec<String> {
        let line = |_| {
            let mut line = String::new();
            self.stdout.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        (0..count).map(line).collect()
    }

    /// Status and body of a page.
    fn page(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    fn health(&self) -> (u16, Value) {
        let (status, body) = self.page("/health");
        (status, serde_json::from_str(&body).unwrap())
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill")
            .args([format!("-{name}"), pid])
            .status();
        assert!(kill.unwrap().success());
    }

    fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it doesn't end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.end().code(), Some(0));
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It has ended already unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pico-node"));
    command
        .args(["gateway", "--allow-loopback", "--exit-with-parent"])
        .args(args);
    command
}

/// Exit code and stderr of a call that is to fail.
fn fails(args: &[&str]) -> (i32, String) {
    let output = command(args).output().unwrap();
    assert!(output.stdout.is_empty(), "{args:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), stderr)
}

/// What a gateway can't do without.
const NEEDED: [&str; 6] = [
    "--network",
    "unit-albatross",
    "--upstream",
    NOBODY,
    "--listen",
    ANY_WS,
];

fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
    NEEDED.iter().chain(args).copied().collect()
}

/// A port, of TCP and UDP, that nobody has now, and that the system gives to nobody who asks for any:
/// those are above, from 32768 on.
fn free_port() -> u16 {
    loop {
        let port = rand::random_range(20_000..30_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok()
            && UdpSocket::bind(("127.0.0.1", port)).is_ok()
        {
            return port;
        }
    }
}

/// The network of something like a node, listening there. Nobody asks it for anything here.
async fn upstream(address: &str) -> Arc<Network> {
    let mut config = Config::new(new_identity(), genesis_block().hash(), Vec::new());
    config.provided_services = Services::HISTORY | Services::FULL_BLOCKS | Services::ACCOUNTS_PROOF;
    config.allow_loopback = true;
    let network = Network::new(config).unwrap();
    network.listen_on(address.parse().unwrap()).await.unwrap();
    network
}

#[test]
fn each_bad_value_is_named_and_ends_with_2() {
    for (args, named) in [
        (vec!["--frobnicate"], "--frobnicate"),
        (vec!["--log", "loud"], "loud"),
        (
            vec!["--log-format", "xml"],
            "--log-format: \"xml\": it takes text or json",
        ),
        (
            vec!["--http", "localhost:80"],
            "--http: \"localhost:80\": it takes IP:PORT",
        ),
        (vec!["--http", "127.0.0.1"], "--http: \"127.0.0.1\""),
        (
            vec!["--max-clients", "0"],
            "--max-clients: \"0\": it takes a number from 1",
        ),
        (vec!["--max-clients", "many"], "--max-clients: \"many\""),
        (
            vec!["--max-clients-per-ip", "5000"],
            "--max-clients-per-ip: \"5000\"",
        ),
        (
            vec!["--upstream", "seed.example:443"],
            "--upstream: \"seed.example:443\"",
        ),
        (
            vec!["--upstream", "/ip4/127.0.0.1/tcp/80"],
            "--upstream: \"/ip4/127.0.0.1/tcp/80\"",
        ),
        (vec!["--upstream", NOBODY], "it is there twice"),
        (
            vec!["--listen", "localhost:80"],
            "--listen: \"localhost:80\": it takes /ip4",
        ),
        (vec!["--listen", "/ip4/127.0.0.1/tcp/80/wss"], "TLS proxy"),
        (
            vec!["--announce", "/ip4/0.0.0.0/tcp/80/ws"],
            "--announce: \"/ip4/0.0.0.0/tcp/80/ws\"",
        ),
        (
            vec!["--proofs", "/nowhere"],
            "--proofs: \"/nowhere\": there is no such folder",
        ),
        (
            vec!["--config", "/nowhere.toml"],
            "/nowhere.toml: can't read it",
        ),
    ] {
        let (code, stderr) = fails(&with(&args));
        assert_eq!(code, 2, "{args:?}: {stderr}");
        assert!(stderr.contains(named), "{args:?}: {stderr}");
    }
    for (i, missing) in [(0, "network"), (2, "upstream"), (4, "listen")] {
        let mut args = NEEDED.to_vec();
        args.drain(i..i + 2);
        let (code, stderr) = fails(&args);
        assert_eq!(code, 2, "{args:?}: {stderr}");
        assert!(stderr.contains(&format!("give --{missing}")), "{stderr}");
    }
    let mut args = NEEDED;
    args[1] = "neverland";
    let (code, stderr) = fails(&args);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("--network: \"neverland\": there is main-albatross"));
}

#[test]
fn a_file_says_what_flags_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    let path = path.to_str().unwrap();
    let write = |content: &str| std::fs::write(path, content).unwrap();
    write("network = \"unit-albatross\"\nupstreams = []\n");
    let (code, stderr) = fails(&["--config", path]);
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("line 2, upstreams = []: unknown field"),
        "{stderr}"
    );

    write(&format!(
        "network = \"neverland\"\nupstream = [\"{NOBODY}\"]\nlisten = [\"{ANY_WS}\"]\ndata = \"state\"\n"
    ));
    let (code, stderr) = fails(&["--config", path]);
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("gateway.toml: network: \"neverland\""),
        "{stderr}"
    );
    let mut gateway = Gateway::start(&["--config", path, "--network", "unit-albatross"]);
    assert!(gateway.addresses(1)[0].starts_with("/ip4/127.0.0.1/tcp/"));
    assert!(folder.path().join("state/identity.key").is_file());
    gateway.stop();
}

#[test]
fn addresses_outlive_a_restart_and_damage_does_not_change_them() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let listen_ws = format!("/ip4/127.0.0.1/tcp/{}/ws", free_port());
    let listen_webrtc = format!("/ip4/127.0.0.1/udp/{}/webrtc-direct", free_port());
    let args = [
        "--network",
        "unit-albatross",
        "--upstream",
        NOBODY,
        "--data",
        data,
        "--listen",
        &listen_ws,
        "--listen",
        &listen_webrtc,
    ];
    let mut gateway = Gateway::start(&args);
    let addresses = gateway.addresses(2);
    let told: Vec<String> =
        serde_json::from_value(gateway.health().1["addresses"].clone()).unwrap();
    assert_eq!(told, addresses);
    let (ws, webrtc) = (&addresses[0], &addresses[1]);
    let begin = format!("{listen_ws}/p2p/12D3KooW");
    assert!(ws.starts_with(&begin), "{ws}");
    let begin = format!("{listen_webrtc}/certhash/uEi");
    assert!(webrtc.starts_with(&begin), "{webrtc}");
    assert!(webrtc.ends_with(ws.rsplit('/').next().unwrap()), "{webrtc}");

    let (code, stderr) = fails(&args);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("in use by another gateway"), "{stderr}");
    // A lock that outlives the process would keep the next one out.
    gateway.signal("KILL");
    assert_eq!(gateway.end().code(), None);

    let mut gateway = Gateway::start(&args);
    assert_eq!(gateway.addresses(2), addresses);
    gateway.stop();

    for name in ["identity.key", "certificate.pem"] {
        let path = Path::new(data).join(name);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, "half of it").unwrap();
        let (code, stderr) = fails(&args);
        assert_eq!(code, 4, "{stderr}");
        assert!(stderr.contains(&format!("{name} is damaged")), "{stderr}");
        assert_eq!(std::fs::read(&path).unwrap(), b"half of it");
        std::fs::write(&path, whole).unwrap();
    }
    let mut gateway = Gateway::start(&args);
    assert_eq!(gateway.addresses(2), addresses);
    gateway.stop();
}

#[test]
fn announced_addresses_are_told_in_full() {
    let mut gateway = Gateway::start(&with(&[
        "--listen",
        ANY_WEBRTC,
        "--announce",
        "/dns4/gateway.example/tcp/443/wss",
        "--announce",
        "/ip4/203.0.113.7/udp/9000/webrtc-direct",
    ]));
    let addresses = gateway.addresses(2);
    assert!(addresses[0].starts_with("/dns4/gateway.example/tcp/443/wss/p2p/12D3KooW"));
    assert!(addresses[1].starts_with("/ip4/203.0.113.7/udp/9000/webrtc-direct/certhash/uEi"));
    gateway.stop();
    let stranger =
        "/ip4/203.0.113.7/tcp/9000/ws/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
    let (code, stderr) = fails(&with(&["--announce", stranger]));
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("the peer id of this gateway is 12D3KooW"),
        "{stderr}"
    );
}

#[test]
fn used_ports_end_with_3() {
    let used = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = used.local_addr().unwrap().port();
    let http = format!("127.0.0.1:{port}");
    let listen = format!("/ip4/127.0.0.1/tcp/{port}/ws");
    for (flag, address) in [("--http", &http), ("--listen", &listen)] {
        let (code, stderr) = fails(&with(&[flag, address]));
        assert_eq!(code, 3, "{flag}: {stderr}");
        assert!(stderr.contains(address.as_str()), "{stderr}");
    }
    let used = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = used.local_addr().unwrap().port();
    let listen = format!("/ip4/127.0.0.1/udp/{port}/webrtc-direct");
    let (code, stderr) = fails(&with(&["--listen", &listen]));
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains(&listen), "{stderr}");
}

#[test]
fn health_follows_the_upstream_and_metrics_tell_of_it() {
    let address = format!("/ip4/127.0.0.1/tcp/{}/ws", free_port());
    let args = [
        "--network",
        "unit-albatross",
        "--listen",
        ANY_WS,
        "--upstream",
        &address,
    ];
    let mut gateway = Gateway::start(&args);
    gateway.logs("No upstream answers yet");
    let (status, health) = gateway.health();
    assert_eq!(status, 503);
    assert_eq!(health["status"], "no upstream");
    assert_eq!(health["network"], "unit-albatross");
    assert_eq!(health["upstreams"][0]["address"], address.as_str());
    assert_eq!(health["upstreams"][0]["connected"], false);
    assert!(health["upstreams"][0]["failures"].as_u64().unwrap() > 0);

    // It does its part on threads of its own.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let network = runtime.block_on(upstream(&address));
    gateway.logs("Ready");
    let (status, health) = gateway.health();
    assert_eq!(status, 200, "{health}");
    assert_eq!(health["status"], "ok");
    assert_eq!(health["upstreams"][0]["connected"], true);
    let services = health["upstreams"][0]["services"].as_array().unwrap();
    assert!(services.contains(&"accounts-proof".into()), "{health}");

    let (status, metrics) = gateway.page("/metrics");
    assert_eq!(status, 200);
    let connected = format!("pico_gateway_upstream_connected{{upstream=\"{address}\"}} 1");
    assert!(metrics.lines().any(|line| line == connected), "{metrics}");
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("pico_gateway_"), "{line}");
        assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
    }
    assert!(metrics.ends_with("# EOF\n"));
    assert_eq!(gateway.page("/").0, 404);

    runtime.block_on(network.close());
    let deadline = Instant::now() + PATIENCE;
    while gateway.health().0 == 200 {
        assert!(Instant::now() < deadline, "the upstream is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    gateway.stop();
}

#[test]
fn signals_end_it_and_what_it_fails_of_is_logged_as_json() {
    for signal in ["TERM", "INT"] {
        let mut gateway = Gateway::start(&NEEDED);
        gateway.signal(signal);
        gateway.logs("Ending");
        assert_eq!(gateway.end().code(), Some(0), "{signal}");
    }
    let used = TcpListener::bind("127.0.0.1:0").unwrap();
    let http = used.local_addr().unwrap().to_string();
    let (code, stderr) = fails(&with(&["--http", &http, "--log-format", "json"]));
    assert_eq!(code, 3);
    let last: Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
    assert_eq!(last["level"], "error");
    assert!(
        last["message"]
            .as_str()
            .unwrap()
            .starts_with("--http: can't listen on")
    );
}
