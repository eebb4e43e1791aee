//! Clients that come from one address, one after the other.

use super::*;
use crate::transport::webrtc::native::stun::Names;

/// Passes datagrams on to a server, always from the same port, for the client that came last.
async fn way(server: SocketAddr) -> (SocketAddr, Arc<UdpSocket>) {
    let near = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let far = Arc::new(bind(([127, 0, 0, 1], 0).into()).unwrap());
    far.connect(server).await.unwrap();
    let address = near.local_addr().unwrap();
    let up = Arc::clone(&far);
    tokio::spawn(async move {
        let mut clients: Vec<SocketAddr> = Vec::new();
        let (mut one, mut two) = ([0; 2048], [0; 2048]);
        loop {
            // What doesn't get through here is lost, as elsewhere.
            tokio::select! {
                Ok((length, from)) = near.recv_from(&mut one) => {
                    if !clients.contains(&from) {
                        clients.push(from);
                    }
                    if clients.last() == Some(&from) {
                        let _ = up.send(&one[..length]).await;
                    }
                }
                Ok(length) = up.recv(&mut two) => {
                    if let Some(client) = clients.last() {
                        let _ = near.send_to(&two[..length], *client).await;
                    }
                }
            }
        }
    });
    (address, far)
}

/// A client whose machine fell asleep says no goodbye, and its NAT may give the port to the next.
#[tokio::test]
async fn who_is_there_stays_and_who_is_gone_makes_room() {
    let (mut server, _, address) = listening().await;
    let crypto = Arc::clone(&server.context.crypto);
    tokio::spawn(async move {
        loop {
            let event = poll_fn(|cx| Pin::new(&mut server).poll(cx)).await;
            if let TransportEvent::Incoming { upgrade, .. } = event {
                tokio::spawn(async move {
                    if let Ok((_, muxer)) = upgrade.await {
                        echo(muxer).await;
                    }
                });
            }
        }
    });
    let target = address::target(&address).unwrap();
    let (socket, up) = way(target.socket).await;
    let way = listening::of(socket, Some(target.certificate));
    let (mut first, _) = transport();
    let (_, mut muxer) = soon(dial(&mut first, &way)).await.unwrap();
    // Somebody who pretends to come from there changes nothing.
    for _ in 0..10 {
        let request = floods::request(&crypto, &Names::new());
        up.send(&request).await.unwrap();
    }
    let stream = open(&mut muxer).await;
    soon(ask(stream, &[1; 50_000])).await;
    // From here on nothing of the first gets through.
    let (mut second, _) = transport();
    let (_, mut muxer) = soon(dial(&mut second, &way)).await.unwrap();
    let stream = open(&mut muxer).await;
    soon(ask(stream, &[2; 50_000])).await;
}
