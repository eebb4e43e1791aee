//! What a gateway counts, in the text format of Prometheus (OpenMetrics 1.0).
//!
//! Nothing is kept here: each page is a snapshot. Names begin with `pico_gateway_`, and units are in
//! them. Labels have few values: no client, and nothing that a client sends, is ever one, but for the
//! number of a kind of request that the gateway knows.

use std::{fmt, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use super::http::Page;
use crate::gateway::{GatewayStats, RequestStats, UpstreamStats};

/// What all names begin with.
const PREFIX: &str = "pico_gateway";
/// The MIME type of the format.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The page of a snapshot.
///
/// # Errors
/// None that is known: writing to a string doesn't fail.
pub fn metrics(stats: GatewayStats) -> Result<Page, fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Snapshot {
        resident: resident_bytes(),
        stats,
    }));
    let mut body = String::new();
    text::encode(&mut body, &registry)?;
    Ok(Page {
        status: 200,
        content_type: CONTENT_TYPE,
        body,
    })
}

#[derive(Debug)]
struct Snapshot {
    stats: GatewayStats,
    /// Memory of the process, where the system says.
    resident: Option<u64>,
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Writer(encoder);
        let stats = &self.stats;
        out.seconds(
            "uptime",
            "Time since the start",
            vec![Sample::bare(stats.uptime)],
        )?;
        if let Some(resident) = self.resident {
            out.bytes("resident_memory", "Memory of the process", resident)?;
        }
        self.clients(&mut out)?;
        self.upstreams(&mut out)?;
        self.requests(&mut out)?;
        self.gossip(&mut out)?;
        if let Some(block) = stats.proof {
            out.gauge(
                "proven_block",
                "Number of the election block that the newest proof is of",
                vec![Sample::bare(block.into())],
            )?;
        }
        out.counter(
            "traffic",
            "Bytes on all transports",
            Some(&Unit::Bytes),
            vec![
                Sample::of("direction", "received", stats.traffic.bytes_received),
                Sample::of("direction", "sent", stats.traffic.bytes_sent),
            ],
        )
    }
}

impl Snapshot {
    fn clients(&self, out: &mut Writer<'_>) -> fmt::Result {
        let clients = &self.stats.clients;
        out.gauge(
            "clients",
            "Clients that are connected",
            vec![
                Sample::of("transport", "websocket", clients.websocket),
                Sample::of("transport", "webrtc", clients.webrtc),
            ],
        )?;
        for (name, help, value) in [
            ("clients_joined", "Clients that have come", clients.joined),
            (
                "clients_dropped",
                "Clients that were sent away for breaking rules",
                clients.dropped,
            ),
        ] {
            out.counter(name, help, None, vec![Sample::bare(value)])?;
        }
        Ok(())
    }

    fn upstreams(&self, out: &mut Writer<'_>) -> fmt::Result {
        let of = |value: fn(&UpstreamStats) -> u64| -> Vec<Sample<u64>> {
            let upstreams = self.stats.upstreams.iter();
            upstreams
                .map(|upstream| Sample::of("upstream", &upstream.address, value(upstream)))
                .collect()
        };
        let gauges: [Column<UpstreamStats>; 3] = [
            (
                "upstream_connected",
                "Whether an upstream is connected",
                |upstream| upstream.connected.into(),
            ),
            (
                "upstream_suspect",
                "Whether an upstream says something else of the chain than most others, and is left alone",
                |upstream| upstream.suspect.into(),
            ),
            (
                "upstream_in_flight",
                "Requests that an upstream has yet to answer",
                |upstream| upstream.in_flight,
            ),
        ];
        for (name, help, value) in gauges {
            out.gauge(name, help, of(value))?;
        }
        let counters: [Column<UpstreamStats>; 4] = [
            (
                "upstream_failures",
                "Dials that failed and connections that were lost",
                |upstream| upstream.failures,
            ),
            (
                "upstream_requests",
                "Requests sent to an upstream",
                |upstream| upstream.requests,
            ),
            (
                "upstream_errors",
                "Requests that an upstream refused or broke off",
                |upstream| upstream.errors,
            ),
            (
                "upstream_timeouts",
                "Requests that an upstream did not answer in time",
                |upstream| upstream.timeouts,
            ),
        ];
        for (name, help, value) in counters {
            out.counter(name, help, None, of(value))?;
        }
        let upstreams = self.stats.upstreams.iter();
        let round_trips = upstreams
            .filter_map(|upstream| Some(Sample::of("upstream", &upstream.address, upstream.rtt?)));
        out.seconds(
            "upstream_round_trip",
            "Time that a ping to an upstream takes",
            round_trips.collect(),
        )
    }

    fn requests(&self, out: &mut Writer<'_>) -> fmt::Result {
        let counters: [Column<RequestStats>; 8] = [
            ("requests", "Requests of clients", |of| of.received),
            (
                "requests_relayed",
                "Requests passed on to an upstream",
                |of| of.relayed,
            ),
            (
                "requests_coalesced",
                "Requests that shared the answer to an equal one under way",
                |of| of.coalesced,
            ),
            (
                "requests_cached",
                "Requests answered from the cache",
                |of| of.cached,
            ),
            ("requests_answered", "Requests that got an answer", |of| {
                of.answered
            }),
            (
                "requests_refused",
                "Requests refused as there was no upstream or the queue was full",
                |of| of.refused,
            ),
            (
                "requests_rate_limited",
                "Requests over the limit of a client",
                |of| of.rate_limited,
            ),
            (
                "requests_failed",
                "Requests that no upstream answered",
                |of| of.failed,
            ),
        ];
        for (name, help, value) in counters {
            let kinds = self.stats.requests.iter();
            let samples = kinds.map(|(id, stats)| Sample::of("type", name_of(*id), value(stats)));
            out.counter(name, help, None, samples.collect())?;
        }
        let stats = &self.stats;
        for (name, help, value) in [
            (
                "requests_queued",
                "Requests that wait for their turn",
                stats.queued,
            ),
            (
                "requests_in_flight",
                "Requests that upstreams have yet to answer",
                stats.in_flight,
            ),
            ("cache_entries", "Answers in the cache", stats.cache_entries),
        ] {
            out.gauge(name, help, vec![Sample::bare(value)])?;
        }
        out.bytes("cache", "Size of the cache", stats.cache_bytes)
    }

    fn gossip(&self, out: &mut Writer<'_>) -> fmt::Result {
        let gossip = &self.stats.gossip;
        out.counter(
            "gossip_messages",
            "Block headers and transactions handed on, and what was rejected of either",
            None,
            vec![
                Sample::of("kind", "header", gossip.headers),
                Sample::of("kind", "transaction", gossip.transactions),
                Sample::of("kind", "rejected", gossip.rejected),
            ],
        )?;
        let notifications = &self.stats.notifications;
        out.gauge(
            "subscribed_clients",
            "Clients that watch addresses",
            vec![Sample::bare(notifications.clients)],
        )?;
        out.gauge(
            "subscribed_addresses",
            "Addresses that are watched",
            vec![Sample::bare(notifications.addresses)],
        )?;
        out.counter(
            "notifications",
            "Notifications sent about watched addresses",
            None,
            vec![Sample::bare(notifications.sent)],
        )
    }
}

/// Kinds of requests by what they ask for.
fn name_of(type_id: u16) -> String {
    let name = match type_id {
        200 => "macro-chain",
        207 => "block",
        209 => "missing-blocks",
        210 => "head",
        211 => "zkp",
        213 => "transactions-proof",
        214 => "transaction-receipts",
        215 => "trie-proof",
        216 => "blocks-proof",
        217 => "subscribe",
        _ => return type_id.to_string(),
    };
    name.to_owned()
}

/// Memory of this process, as Linux says.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Name, help, and where the value is.
type Column<T> = (&'static str, &'static str, fn(&T) -> u64);

/// One value, and what it is of if there are several.
struct Sample<V> {
    label: Option<(&'static str, String)>,
    value: V,
}

impl<V> Sample<V> {
    fn bare(value: V) -> Self {
        Self { label: None, value }
    }

    fn of(label: &'static str, of: impl ToString, value: V) -> Self {
        Self {
            label: Some((label, of.to_string())),
            value,
        }
    }
}

struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn counter(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        samples: Vec<Sample<u64>>,
    ) -> fmt::Result {
        self.family(name, help, unit, samples, ConstCounter::new)
    }

    fn gauge(&mut self, name: &str, help: &str, samples: Vec<Sample<u64>>) -> fmt::Result {
        self.family(name, help, None, samples, ConstGauge::new)
    }

    fn bytes(&mut self, name: &str, help: &str, bytes: u64) -> fmt::Result {
        let samples = vec![Sample::bare(bytes)];
        self.family(name, help, Some(&Unit::Bytes), samples, ConstGauge::new)
    }

    fn seconds(&mut self, name: &str, help: &str, samples: Vec<Sample<Duration>>) -> fmt::Result {
        let gauge = |time: Duration| ConstGauge::new(time.as_secs_f64());
        self.family(name, help, Some(&Unit::Seconds), samples, gauge)
    }

    fn family<V, M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        samples: Vec<Sample<V>>,
        metric: impl Fn(V) -> M,
    ) -> fmt::Result {
        let mut samples = samples
            .into_iter()
            .map(|Sample { label, value }| (label, metric(value)))
            .peekable();
        let Some((_, first)) = samples.peek() else {
            return Ok(());
        };
        let kind = first.metric_type();
        let mut family: MetricEncoder<'_> = self.0.encode_descriptor(name, help, unit, kind)?;
        for (label, metric) in samples {
            match label {
                Some(label) => metric.encode(family.encode_family(&[label])?)?,
                // Its only one.
                None => return metric.encode(family),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn stats() -> GatewayStats {
        let mut stats = GatewayStats {
            uptime: Duration::from_millis(1500),
            proof: Some(328),
            ..GatewayStats::default()
        };
        stats.clients.websocket = 3;
        stats.clients.webrtc = 4;
        stats.clients.joined = 70;
        stats.traffic.bytes_sent = u64::MAX;
        let head = RequestStats {
            received: 12,
            coalesced: 5,
            ..RequestStats::default()
        };
        stats.requests.insert(210, head);
        stats.requests.insert(999, RequestStats::default());
        stats
    }

    #[test]
    fn a_page_has_every_value_with_help_type_and_unit() {
        let page = metrics(stats()).unwrap();
        assert_eq!(page.status, 200);
        let lines: Vec<&str> = page.body.lines().collect();
        for expected in [
            "# HELP pico_gateway_clients Clients that are connected",
            "# TYPE pico_gateway_clients gauge",
            "pico_gateway_clients{transport=\"websocket\"} 3",
            "pico_gateway_clients{transport=\"webrtc\"} 4",
            "# TYPE pico_gateway_clients_joined counter",
            "pico_gateway_clients_joined_total 70",
            "# UNIT pico_gateway_uptime_seconds seconds",
            "pico_gateway_uptime_seconds 1.5",
            "pico_gateway_requests_total{type=\"head\"} 12",
            "pico_gateway_requests_coalesced_total{type=\"head\"} 5",
            "pico_gateway_requests_total{type=\"999\"} 0",
            "pico_gateway_proven_block 328",
            "pico_gateway_traffic_bytes_total{direction=\"sent\"} 18446744073709551615",
            "# EOF",
        ] {
            assert!(lines.contains(&expected), "{expected} in\n{}", page.body);
        }
        // Each sample belongs to the family described above it, and no family comes twice.
        let mut seen = std::collections::HashSet::new();
        let mut family = "";
        for line in lines {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap();
                assert!(seen.insert(family), "{family} again");
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family), "{line} under {family}");
                assert!(line.starts_with("pico_gateway_"), "{line}");
            }
        }
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let body = metrics(GatewayStats::default()).unwrap().body;
        assert!(!body.contains("proven_block"), "{body}");
        assert!(!body.contains("upstream_connected"), "{body}");
        assert!(body.ends_with("# EOF\n"));
    }
}
