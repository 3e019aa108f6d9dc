//! Bodies that are still arriving while a replica listens: how many there may be, and how many from one client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One client may have this part of them, or a single one could keep all others from sending anything.
const CLIENT_PART: usize = 4;

#[derive(Default)]
pub(super) struct Uploads {
    most: usize,
    under_way: Mutex<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    all: usize,
    by_client: HashMap<Arc<str>, usize>,
}

/// One of them; over when it is dropped.
pub(super) struct Upload {
    uploads: Arc<Uploads>,
    client: Option<Arc<str>>,
}

impl Uploads {
    pub(super) fn new(most: usize) -> Uploads {
        Uploads { most, under_way: Mutex::default() }
    }

    /// One more from this client, if there may be.
    pub(super) fn begin(self: &Arc<Uploads>, client: Option<Arc<str>>) -> Option<Upload> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.all >= self.most {
            return None;
        }
        if let Some(client) = &client {
            let its = under_way.by_client.entry(client.clone()).or_default();
            if *its >= (self.most / CLIENT_PART).max(1) {
                return None;
            }
            *its += 1;
        }
        under_way.all += 1;
        Some(Upload { uploads: self.clone(), client })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut under_way = self.uploads.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.all -= 1;
        let Some(client) = &self.client else { return };
        if let Some(its) = under_way.by_client.get_mut(client) {
            *its -= 1;
            if *its == 0 {
                under_way.by_client.remove(client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_cannot_take_them_all() {
        let uploads = Arc::new(Uploads::new(8));
        let begin = |client: &str| uploads.begin(Some(client.into()));
        let held = [begin("a").unwrap(), begin("a").unwrap()];
        assert!(begin("a").is_none());
        let others: Vec<_> = ["b", "b", "c", "c", "d", "d", "e"].into_iter().map(begin).collect();
        assert_eq!(others.iter().filter(|upload| upload.is_some()).count(), 6, "eight are all");
        drop((held, others));
        assert!(uploads.under_way.lock().unwrap().by_client.is_empty());
    }
}
