//! How the two ends set up ICE, DTLS and SCTP when there is nobody who carries descriptions between
//! them (*protocol*: webrtc-direct).

use std::{net::SocketAddr, sync::Arc, time::Instant};

use str0m::{
    Candidate, IceCreds, Rtc, RtcConfig,
    change::DirectApi,
    channel::{ChannelConfig, ChannelId},
    config::{CryptoProvider, DtlsCert, Fingerprint as DtlsFingerprint},
};

use super::stun::Names;
use crate::{
    limits,
    transport::webrtc::{address::Fingerprint, handshake},
};

/// A connection that is about to be made, with the data channel of its handshake.
pub(super) struct Prepared {
    pub(super) rtc: Rtc,
    pub(super) handshake: ChannelId,
}

fn config(crypto: &Arc<CryptoProvider>, certificate: DtlsCert, local: IceCreds) -> RtcConfig {
    Rtc::builder()
        .set_crypto_provider(Arc::clone(crypto))
        .set_dtls_cert(certificate)
        .set_local_ice_credentials(local)
        .set_sctp_max_buffered_amount(limits::WEBRTC_SEND_BUFFER)
        .clear_codecs()
}

fn of_server(names: &Names) -> IceCreds {
    IceCreds {
        ufrag: names.server.clone(),
        pass: names.server.clone(),
    }
}

fn of_client(names: &Names) -> IceCreds {
    IceCreds {
        ufrag: names.client.clone(),
        pass: names.client_password().to_owned(),
    }
}

fn fingerprint(of: Fingerprint) -> DtlsFingerprint {
    DtlsFingerprint {
        hash_func: "sha-256".to_owned(),
        bytes: of.0.to_vec(),
    }
}

/// The end that is dialled. It takes any certificate: who the client is, the handshake says.
pub(super) fn server(
    crypto: &Arc<CryptoProvider>,
    certificate: DtlsCert,
    names: &Names,
    local: SocketAddr,
) -> Option<Prepared> {
    let mut rtc = config(crypto, certificate, of_server(names))
        .set_ice_lite(true)
        .set_fingerprint_verification(false)
        .build(Instant::now());
    rtc.add_local_candidate(Candidate::host(local, "udp").ok()?)?;
    let mut api = rtc.direct_api();
    api.set_remote_ice_credentials(of_client(names));
    api.set_ice_controlling(false);
    // There has to be one, also if it isn't looked at.
    api.set_remote_fingerprint(fingerprint(Fingerprint([0; 32])));
    start(rtc, false)
}

/// The end that dials, for a server with this certificate.
pub(super) fn client(
    crypto: &Arc<CryptoProvider>,
    certificate: DtlsCert,
    names: &Names,
    local: SocketAddr,
    remote: SocketAddr,
    expected: Fingerprint,
) -> Option<Prepared> {
    let mut rtc = config(crypto, certificate, of_client(names)).build(Instant::now());
    rtc.add_local_candidate(Candidate::host(local, "udp").ok()?)?;
    rtc.add_remote_candidate(Candidate::host(remote, "udp").ok()?);
    let mut api = rtc.direct_api();
    api.set_remote_ice_credentials(of_server(names));
    api.set_ice_controlling(true);
    api.set_remote_fingerprint(fingerprint(expected));
    start(rtc, true)
}

fn start(mut rtc: Rtc, active: bool) -> Option<Prepared> {
    let mut api = rtc.direct_api();
    api.start_dtls(active).ok()?;
    api.start_sctp(active);
    let handshake = open(&mut api, Some(handshake::CHANNEL));
    Some(Prepared { rtc, handshake })
}

/// Opens a data channel, with a number that both ends have agreed on, or the next that is free.
pub(super) fn open(api: &mut DirectApi<'_>, negotiated: Option<u16>) -> ChannelId {
    api.create_data_channel(ChannelConfig {
        negotiated,
        ..ChannelConfig::default()
    })
}

/// The certificate that the other end has shown, once DTLS is done.
pub(super) fn remote_fingerprint(rtc: &mut Rtc) -> Option<Fingerprint> {
    let api = rtc.direct_api();
    let bytes = &api.remote_dtls_fingerprint()?.bytes;
    Some(Fingerprint(bytes.as_slice().try_into().ok()?))
}
