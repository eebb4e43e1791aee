//! A way on which datagrams get lost and overtake each other.

use super::*;

/// Passes datagrams on to a server. Of each 25 one is lost, and another one comes after the next.
async fn bad_way(server: SocketAddr) -> SocketAddr {
    let near = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let far = bind(([127, 0, 0, 1], 0).into()).unwrap();
    far.connect(server).await.unwrap();
    let address = near.local_addr().unwrap();
    tokio::spawn(async move {
        let mut client = None;
        let (mut one, mut two) = ([0; 2048], [0; 2048]);
        let mut held: [Option<Vec<u8>>; 2] = [None, None];
        let mut count = 0;
        loop {
            let (bytes, to_client) = tokio::select! {
                Ok((length, from)) = near.recv_from(&mut one) => {
                    client = Some(from);
                    (&one[..length], false)
                }
                Ok(length) = far.recv(&mut two) => (&two[..length], true),
            };
            count += 1;
            if count % 25 == 24 {
                continue;
            }
            let before = held[usize::from(to_client)].take();
            if count % 25 == 12 && before.is_none() {
                held[usize::from(to_client)] = Some(bytes.to_vec());
                continue;
            }
            for bytes in [Some(bytes.to_vec()), before].into_iter().flatten() {
                // What doesn't get through here is lost as well.
                let _ = match client {
                    Some(client) if to_client => near.send_to(&bytes, client).await,
                    _ => far.send(&bytes).await,
                };
            }
        }
    });
    address
}

#[tokio::test]
async fn nothing_is_lost_on_a_bad_way() {
    let (mut server, _, address) = listening().await;
    let serving = tokio::spawn(async move {
        let (_, muxer) = accept(&mut server).await;
        keep(server);
        echo(muxer).await;
    });
    let target = address::target(&address).unwrap();
    let way = listening::of(bad_way(target.socket).await, Some(target.certificate));
    let (mut client, _) = transport();
    let (_, mut muxer) = soon(dial(&mut client, &way)).await.unwrap();
    let mut asking = futures::stream::FuturesUnordered::new();
    for number in 0..500_usize {
        while asking.len() >= 50 {
            soon(asking.next()).await;
        }
        let stream = open(&mut muxer).await;
        asking.push(async move { ask(stream, &vec![number as u8; 10 * number]).await });
    }
    while soon(asking.next()).await.is_some() {}
    serving.abort();
}
