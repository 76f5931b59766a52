//! How much of the traffic stays in the client's zone (Istio: zoneAwareLbSetting; Envoy: zone
//! aware routing).

/// Shares of the zones of a region, from their healthy endpoints; the first one is the client's.
///
/// The clients are taken to be spread evenly over the zones. As much stays in a zone as it can
/// take without more load for its endpoints than for all others; the rest goes to zones that have
/// more endpoints than their own clients need, as they have room. Where fewer than `minimum` are
/// healthy, or the client's zone has none, or there is no other, all endpoints are alike.
pub(super) fn shares(live: &[u64], minimum: u64) -> Vec<u64> {
    let total: u64 = live.iter().sum();
    let zones = live.iter().filter(|count| **count > 0).count() as u64;
    let own = live.first().copied().unwrap_or_default();
    if own == 0 || zones < 2 || total < minimum {
        return live.to_vec();
    }
    // In units of one endpoint of one zone: what a zone has, against what its clients need.
    if own * zones >= total {
        return live
            .iter()
            .enumerate()
            .map(|(number, _)| u64::from(number == 0))
            .collect();
    }
    let room = |count: u64| (count * zones).saturating_sub(total);
    let rooms: u64 = live.iter().copied().map(room).sum();
    let over = total - own * zones;
    live.iter()
        .enumerate()
        .map(|(number, count)| match number {
            0 => own * zones * rooms,
            _ => room(*count) * over,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_keep_what_they_can_take() {
        for (live, minimum, want) in [
            // Even, or more than enough: all stays.
            (vec![3, 3, 3], 6, vec![1, 0, 0]),
            (vec![4, 2], 6, vec![1, 0]),
            // Two of eight endpoints for half of the clients: half of what they send stays.
            (vec![2, 6], 6, vec![1, 1]),
            // Only zones with room take the rest.
            (vec![1, 3, 5], 6, vec![1, 0, 2]),
            // Zones do not matter: each endpoint gets the same.
            (vec![2, 3], 6, vec![2, 3]),
            (vec![0, 3, 6], 6, vec![0, 3, 6]),
            (vec![7, 0], 6, vec![7, 0]),
            (vec![], 6, vec![]),
        ] {
            let found = shares(&live, minimum);
            let (sum, wanted) = (found.iter().sum::<u64>(), want.iter().sum::<u64>());
            assert_eq!(found.len(), want.len());
            for (found, want) in found.iter().zip(&want) {
                assert_eq!(found * wanted, want * sum, "{live:?}: {found:?}");
            }
        }
    }
}
