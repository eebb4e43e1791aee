//! What gossip is for: that news arrives, with nodes of the release, whatever happens in between.

use futures::StreamExt;
use nimiq_network_interface::network::{MsgAcceptance, Network as _};

use crate::{common::*, interop::publish};

/// More of ours than a node takes into its mesh: the others fetch what it says to have.
#[tokio::test]
async fn gossip_reaches_those_outside_of_the_mesh() {
    let (node, address) = node().await;
    let mut at_node = node.subscribe::<NewsTopic>().await.unwrap();
    let mut crowd = Vec::new();
    for _ in 0..pico_network::limits::GOSSIP_MESH_HIGH + 3 {
        let pico = pico();
        let stream = nimiq_network_interface::network::Network::subscribe::<NewsTopic>(&*pico)
            .await
            .unwrap();
        connect(&pico, &node, &address).await;
        crowd.push((pico, stream));
    }
    for number in 0..5 {
        let news = News {
            text: number.to_string(),
        };
        publish(|| node.publish::<NewsTopic>(news.clone())).await;
        for (pico, stream) in &mut crowd {
            let (item, id) = soon("news at ours", stream.next()).await.unwrap();
            assert_eq!(item, news);
            pico.validate_message::<NewsTopic>(id, MsgAcceptance::Accept);
        }
    }
    // And what one of them publishes reaches all the others through the node.
    let news = News {
        text: "of one".to_owned(),
    };
    let (first, others) = crowd.split_first_mut().unwrap();
    publish(|| first.0.publish::<NewsTopic>(news.clone())).await;
    let (item, id) = soon("news at the node", at_node.next()).await.unwrap();
    assert_eq!(item, news);
    node.validate_message::<NewsTopic>(id, MsgAcceptance::Accept);
    for (_, stream) in others {
        let (item, _) = soon("news at ours", stream.next()).await.unwrap();
        assert_eq!(item, news);
    }
    for (pico, _) in crowd {
        pico.close().await;
    }
}

/// Reconnecting, and subscribing anew, with a node that remembers us.
#[tokio::test]
async fn gossip_goes_on_after_an_interruption() {
    let (node, address) = node().await;
    let pico = pico();
    let subscribe = || nimiq_network_interface::network::Network::subscribe::<NewsTopic>(&*pico);
    let mut stream = subscribe().await.unwrap();
    for number in 0..6 {
        connect(&pico, &node, &address).await;
        if number == 3 {
            pico.unsubscribe::<NewsTopic>().await.unwrap();
            stream = subscribe().await.unwrap();
        }
        let news = News {
            text: number.to_string(),
        };
        publish(|| node.publish::<NewsTopic>(news.clone())).await;
        let (item, _) = soon("news", stream.next()).await.unwrap();
        assert_eq!(item, news);
        let mut theirs = node.subscribe_events();
        pico.disconnect(node.get_local_peer_id()).await;
        assert_eq!(left(&mut theirs).await, pico.get_local_peer_id());
    }
    pico.close().await;
}
