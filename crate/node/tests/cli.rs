//! `pico-node devnet` on the command line: output, exit codes, signals.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest wait for what should happen soon.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that doesn't outlive the test, with a folder for its temporary files.
struct Devnet {
    child: Child,
    stdout: BufReader<ChildStdout>,
    folder: TempDir,
}

impl Devnet {
    fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = command(args, folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            stdout,
            folder,
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Gives a command and returns the answer.
    fn command(&mut self, line: &str) -> Value {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        serde_json::from_str(&self.line()).unwrap()
    }

    fn signal(&self, name: &str) {
        kill(name, self.child.id());
    }

    /// Waits for the end.
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

    fn left_behind(&self) -> usize {
        self.folder.path().read_dir().unwrap().count()
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        // It has ended already unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(args: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pico-node"));
    command.arg("devnet").args(args).env("TMPDIR", folder);
    command
}

fn kill(signal: &str, pid: u32) {
    let status = Command::new("kill")
        .args([format!("-{signal}"), pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Exit code and stderr of a call that is to fail.
fn fails(args: &[&str], folder: &Path) -> (i32, String) {
    let output = command(args, folder).output().unwrap();
    assert!(output.stdout.is_empty());
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn bad_arguments_are_named_and_end_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for (args, named) in [
        (["--frobnicate", "1"], "--frobnicate"),
        (["--epochs", "many"], "many"),
        (["--nodes", "0"], "0"),
        (["--nodes", "17"], "17"),
        (["--block-time", "1"], "--block-time"),
        (["--listen", "localhost:80"], "localhost:80"),
        (
            ["--listen", "/ip4/127.0.0.1/tcp/80"],
            "/ip4/127.0.0.1/tcp/80",
        ),
        (
            ["--listen", "/dns4/localhost/tcp/80/ws"],
            "/dns4/localhost/tcp/80/ws",
        ),
        (["--adversary", "nice"], "nice"),
        (["--transactions", "300000"], "186000 transactions"),
        (["--protocol-version", "3"], "3"),
        (["--adversary", "bad-proof"], "no proofs"),
        (
            ["--adversary", "conflicting-election+honest"],
            "conflicting-election+honest",
        ),
        (["--log", "loud"], "loud"),
        (["--log", "nimiq_consensus=loud"], "loud"),
    ] {
        let (code, stderr) = fails(&args, folder.path());
        assert_eq!(code, 2, "{args:?}: {stderr}");
        assert!(stderr.contains(named), "{args:?}: {stderr}");
    }
}

#[test]
fn proofs_need_what_they_are_of() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let (code, stderr) = fails(&["--fixture", missing.to_str().unwrap()], folder.path());
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("missing"), "{stderr}");

    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("elections.bin"), [0]).unwrap();
    let other = other.to_str().unwrap().to_owned();
    for (args, named) in [
        (vec!["--fixture", &other], "another chain"),
        (
            vec!["--simulated-proofs", "--protocol-version", "1"],
            "protocol version 2",
        ),
        (
            vec!["--simulated-proofs", "1", "--proofs", &other],
            "--proofs",
        ),
    ] {
        let (code, stderr) = fails(&args, folder.path());
        assert_eq!(code, 2, "{args:?}: {stderr}");
        assert!(stderr.contains(named), "{args:?}: {stderr}");
    }
}

#[test]
fn a_fixture_is_remade_as_it_was_and_gone_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_pico-node"))
        .args(["fixture", "--out", folder.path().to_str().unwrap()])
        .env("TMPDIR", folder.path())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let committed = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/unit-albatross")
        .canonicalize()
        .unwrap();
    let read = |folder: &Path| std::fs::read(folder.join("elections.bin")).unwrap();
    assert!(read(folder.path()) == read(&committed));

    let mut devnet = Devnet::start(&[
        "--json",
        "--nodes",
        "1",
        "--fixture",
        committed.to_str().unwrap(),
        "--simulated-proofs",
        "5",
    ]);
    let event: Value = serde_json::from_str(&devnet.line()).unwrap();
    assert_eq!(event["event"], "node");
    let ready: Value = serde_json::from_str(&devnet.line()).unwrap();
    assert_eq!(ready["event"], "ready");
    assert!(ready["head"].as_u64().unwrap() > 1000);
    let key = std::fs::read(ready["verifyingKey"].as_str().unwrap()).unwrap();
    assert!(key.starts_with(b"pico-zkp"));
    devnet.signal("TERM");
    assert!(devnet.end().success());
    assert_eq!(devnet.left_behind(), 0);
}

#[test]
fn help_tells_exit_codes_and_adversaries() {
    let output = Command::new(env!("CARGO_BIN_EXE_pico-node"))
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("Exit codes") && help.contains("3  the port is in use"));

    let folder = tempfile::tempdir().unwrap();
    let output = command(&["--help"], folder.path()).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(
        help.contains("conflicting-election")
            && help.contains("forged-receipts")
            && help.contains("[default: 3]")
    );
}

#[test]
fn a_used_port_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!(
        "/ip4/127.0.0.1/tcp/{}/ws",
        listener.local_addr().unwrap().port()
    );
    let (code, stderr) = fails(&["--listen", &address], folder.path());
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains(&address), "{stderr}");
}

#[test]
fn a_folder_that_is_none_ends_with_4() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stderr) = fails(&[], &folder.path().join("missing"));
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("missing"), "{stderr}");
}

#[test]
fn a_full_disk_ends_with_4() {
    let folder = tempfile::tempdir().unwrap();
    // Limiting the size of files is how to have a full disk without filling one.
    let output = Command::new("sh")
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 700; exec \"$0\" devnet --epochs 100 --nodes 1")
        .arg(env!("CARGO_BIN_EXE_pico-node"))
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("can't"), "{stderr}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn json_lines_tell_the_nodes_and_sigint_ends_it() {
    let mut devnet = Devnet::start(&["--json", "--epochs", "1", "--nodes", "2", "--adversary"]);
    let mut lines = Vec::new();
    while lines.len() < 4 {
        lines.push(serde_json::from_str::<Value>(&devnet.line()).unwrap());
    }
    for (index, role) in ["validator", "node", "liar"].iter().enumerate() {
        assert_eq!(lines[index]["event"], "node");
        assert_eq!(lines[index]["index"], index);
        assert_eq!(lines[index]["role"], *role);
        let address = lines[index]["address"].as_str().unwrap();
        assert!(address.starts_with("/ip4/127.0.0.1/tcp/"), "{address}");
        assert!(address.contains("/ws/p2p/12D3KooW"), "{address}");
    }
    assert_eq!(lines[3]["event"], "ready");
    assert!(lines[3]["head"].as_u64().unwrap() > 328);
    assert_eq!(lines[3]["epoch"], 2);
    assert_eq!(
        lines[3]["funded"],
        json!({
            "address": "NQ46 U66M JNLD 0DJ7 0E9P Q7XR V9KV H976 813A",
            "privateKey": "6c9320ac201caf1f8eaa5b05f5d67a9e77826f3f6be266a0ecccc20416dc6587",
        })
    );
    assert_eq!(lines[3].get("history"), None);

    assert!(devnet.left_behind() > 0);
    devnet.signal("INT");
    assert_eq!(devnet.end().code(), Some(0));
    assert_eq!(devnet.left_behind(), 0);
}

#[test]
fn it_takes_commands() {
    let mut devnet = Devnet::start(&[
        "--json",
        "--control",
        "--epochs",
        "1",
        "--nodes",
        "1",
        "--transactions",
        "10",
    ]);
    devnet.line();
    let ready: Value = serde_json::from_str(&devnet.line()).unwrap();
    assert_eq!(ready["history"]["transactions"], 10);
    let account = ready["history"]["address"].as_str().unwrap().to_owned();
    for (command, event) in [
        (
            json!({ "do": "pay", "recipient": account, "value": 5 }),
            "paid",
        ),
        (
            json!({ "do": "pay", "recipient": "NQ", "value": 5 }),
            "failed",
        ),
        (json!({ "do": "pay", "recipient": account }), "failed"),
        (json!({ "do": "start-liar" }), "liar-started"),
        (
            json!({ "do": "start-liar", "kind": "conflicting-election" }),
            "liar-started",
        ),
        (json!({ "do": "start-liar", "kind": "honest" }), "failed"),
        (json!({ "do": "stop-liar" }), "liar-stopped"),
        (json!({ "do": "stop-liar" }), "liar-stopped"),
        (json!({ "do": "start-liar", "kind": "nice" }), "failed"),
        (json!({ "do": "stop-nodes" }), "nodes-stopped"),
        (json!({ "do": "stop-nodes" }), "nodes-stopped"),
        (json!({ "do": "start-liar" }), "failed"),
        (
            json!({ "do": "pay", "recipient": account, "value": 5 }),
            "failed",
        ),
        (json!({ "do": "start-nodes" }), "nodes-started"),
        (json!({ "do": "dance" }), "failed"),
        (json!("stop-nodes"), "failed"),
    ] {
        let answer = devnet.command(&command.to_string());
        assert_eq!(answer["event"], event, "{command}: {answer}");
        match event {
            "paid" => assert_eq!(answer["hash"].as_str().unwrap().len(), 64),
            "failed" => assert!(!answer["reason"].as_str().unwrap().is_empty()),
            "liar-started" => {
                let address = answer["address"].as_str().unwrap();
                assert!(address.contains("/ws/p2p/12D3KooW"), "{address}");
            }
            "nodes-started" => assert!(answer["head"].as_u64() > ready["head"].as_u64()),
            _ => {}
        }
    }
    assert_eq!(devnet.command(&"x".repeat(5000))["event"], "failed");
    devnet.signal("TERM");
    assert_eq!(devnet.end().code(), Some(0));
    assert_eq!(devnet.left_behind(), 0);
}

#[test]
fn people_get_addresses_and_sigterm_ends_it() {
    let mut devnet = Devnet::start(&["--epochs", "1", "--nodes", "1"]);
    assert!(devnet.line().starts_with("validator /ip4/127.0.0.1/tcp/"));
    assert_eq!(
        devnet.line(),
        "funded    NQ46 U66M JNLD 0DJ7 0E9P Q7XR V9KV H976 813A, private key \
         6c9320ac201caf1f8eaa5b05f5d67a9e77826f3f6be266a0ecccc20416dc6587"
    );
    assert!(devnet.line().starts_with("ready     block #"));
    devnet.signal("TERM");
    assert_eq!(devnet.end().code(), Some(0));
    assert_eq!(devnet.left_behind(), 0);
}

#[test]
fn it_can_be_ended_while_it_makes_the_chain() {
    let mut devnet = Devnet::start(&["--epochs", "10000"]);
    while devnet.left_behind() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    devnet.signal("TERM");
    assert_eq!(devnet.end().code(), Some(0));
    assert_eq!(devnet.left_behind(), 0);
}

#[test]
fn it_ends_if_nobody_can_read_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = command(&["--epochs", "1", "--nodes", "1"], folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{stderr}");
    assert!(stderr.contains("stdout"), "{stderr}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn it_can_end_with_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    // The shell must not replace itself by the node, so something has to follow.
    let mut shell = Command::new("sh")
        .arg("-c")
        .arg("\"$0\" devnet --epochs 1 --nodes 1 --json --exit-with-parent; true")
        .arg(env!("CARGO_BIN_EXE_pico-node"))
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(shell.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("ready") {
        line.clear();
        assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "it ended early");
    }
    kill("KILL", shell.id());
    shell.wait().unwrap();
    // The pipe closes when the last process that holds it has ended.
    let began = Instant::now();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}
