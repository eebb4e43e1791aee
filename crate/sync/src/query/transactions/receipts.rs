//! Receipts: what a peer says touches an address. They are claims, and worth nothing until proven;
//! but an honest peer's are complete and in order.

use nimiq_hash::Blake2bHash;
use nimiq_keys::Address;
use nimiq_network_interface::network::Network;

use crate::{
    limits, messages::RequestTransactionReceiptsByAddress, query::Queries, requests::PeerFault,
};

/// A claim: the hash of a transaction, and the number of its block.
pub(super) type Receipt = (Blake2bHash, u32);

/// A page of receipts of one address, newest first.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) receipts: Vec<Receipt>,
    /// Whether there is nothing older.
    pub(super) is_last: bool,
}

/// Holds a page against what a node's index can give: not more than asked for, newest first, and
/// nothing twice.
fn check(receipts: Vec<Receipt>) -> Result<Page, &'static str> {
    if receipts.len() > usize::from(limits::RECEIPTS_PER_PAGE) {
        return Err("more receipts than asked for");
    }
    let mut last = u32::MAX;
    let mut same: Vec<&Blake2bHash> = Vec::new();
    for (hash, number) in &receipts {
        if *number > last {
            return Err("receipts that are out of order");
        }
        if *number < last {
            last = *number;
            same.clear();
        }
        if same.contains(&hash) {
            return Err("the same receipt twice");
        }
        same.push(hash);
    }
    let is_last = receipts.len() < usize::from(limits::RECEIPTS_PER_PAGE);
    Ok(Page { receipts, is_last })
}

/// Whether a page goes on from where it was asked to. If not, blocks may have been reverted since.
fn goes_on(page: &Page, below: Option<&Receipt>) -> bool {
    match (below, page.receipts.first()) {
        (Some((hash, number)), Some((first, newest))) => newest <= number && first != hash,
        _ => true,
    }
}

impl<TNetwork: Network> Queries<TNetwork> {
    /// Asks one peer for receipts of an address that are older than `below`, or for the newest.
    pub(super) async fn receipts(
        &self,
        peer: TNetwork::PeerId,
        address: &Address,
        below: Option<&Receipt>,
    ) -> Result<Page, PeerFault> {
        let request = RequestTransactionReceiptsByAddress {
            address: address.clone(),
            max: Some(limits::RECEIPTS_PER_PAGE),
            start_at: below.map(|(hash, _)| hash.clone()),
        };
        let response = self.request(peer, request).await?;
        let page = check(response.receipts).map_err(|reason| PeerFault::Lied(reason.into()))?;
        match goes_on(&page, below) {
            true => Ok(page),
            false => Err(PeerFault::Failed("its receipts do not go on".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn receipt(tag: u8, number: u32) -> Receipt {
        (Blake2bHash([tag; 32]), number)
    }

    fn verdict(receipts: &[Receipt]) -> Result<bool, &'static str> {
        check(receipts.to_vec()).map(|page| page.is_last)
    }

    #[test]
    fn pages_are_in_order() {
        let [a, b, c] = [receipt(1, 9), receipt(2, 9), receipt(3, 4)];
        assert_eq!(verdict(&[]), Ok(true));
        assert_eq!(verdict(&[a.clone(), b.clone(), c.clone()]), Ok(true));
        let out_of_order = Err("receipts that are out of order");
        assert_eq!(verdict(&[c.clone(), a.clone()]), out_of_order);
        let twice = Err("the same receipt twice");
        assert_eq!(verdict(&[a.clone(), b.clone(), a.clone()]), twice);

        let page = check(vec![b, c.clone()]).unwrap();
        assert!(goes_on(&page, None));
        assert!(goes_on(&page, Some(&a)));
        assert!(!goes_on(&page, Some(&c)));
        assert!(!goes_on(&page, Some(&page.receipts[0])));
    }

    #[test]
    fn pages_have_an_end() {
        let page = |count: u32| -> Vec<Receipt> {
            let hash = |i: u32| {
                let mut bytes = [0; 32];
                bytes[..4].copy_from_slice(&i.to_be_bytes());
                Blake2bHash(bytes)
            };
            (0..count).map(|i| (hash(i), 5000 - i)).collect()
        };
        let full = u32::from(limits::RECEIPTS_PER_PAGE);
        assert_eq!(verdict(&page(full - 1)), Ok(true));
        assert_eq!(verdict(&page(full)), Ok(false));
        assert!(verdict(&page(full + 1)).is_err());
    }
}
