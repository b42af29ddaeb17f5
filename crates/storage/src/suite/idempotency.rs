//! Idempotency keys.

use super::{at, run_id, write};
use crate::{
    Error, Storage,
    idempotency::{Key, Record},
};

fn key(user: &str, route: &str, key: &str) -> Key {
    Key { user: user.into(), route: route.into(), key: key.into() }
}

fn record(n: u8, expires: i64) -> Record {
    let runs = (1..=n).map(|n| run_id(n.into())).collect();
    Record { body_hash: [n; 32], runs, expires_at: at(expires) }
}

pub async fn a_key_counts_for_one_user_and_route(storage: &dyn Storage) {
    write(storage, |tx| {
        tx.insert_key(&key("", "/runs", "k"), &record(1, 10), at(0))?;
        tx.insert_key(&key("ann", "/runs", "k"), &record(2, 10), at(0))?;
        tx.insert_key(&key("", "/runs/batch", "k"), &record(3, 10), at(0))?;
        assert_eq!(tx.find_key(&key("", "/runs", "k"), at(0))?, Some(record(1, 10)));
        assert_eq!(tx.find_key(&key("ann", "/runs", "k"), at(0))?, Some(record(2, 10)));
        assert_eq!(tx.find_key(&key("", "/runs/batch", "k"), at(0))?, Some(record(3, 10)));
        assert_eq!(tx.find_key(&key("bob", "/runs", "k"), at(0))?, None);
        let again = tx.insert_key(&key("", "/runs", "k"), &record(2, 10), at(0));
        assert!(matches!(again, Err(Error::Duplicate(_))), "{again:?}");
        Ok(())
    })
    .await;
}

pub async fn expired_keys_mean_nothing_and_are_swept(storage: &dyn Storage) {
    write(storage, |tx| {
        let one = key("", "/runs", "k");
        tx.insert_key(&one, &record(1, 10), at(0))?;
        tx.insert_key(&key("", "/runs", "l"), &record(1, 20), at(0))?;
        assert_eq!(tx.next_key_expiry()?, Some(at(10)));
        assert_eq!(tx.find_key(&one, at(10))?, None);
        tx.insert_key(&one, &record(2, 30), at(10))?;
        assert_eq!(tx.find_key(&one, at(10))?, Some(record(2, 30)));
        tx.sweep_keys(at(20))?;
        assert_eq!(tx.next_key_expiry()?, Some(at(30)));
        tx.sweep_keys(at(30))?;
        assert_eq!(tx.next_key_expiry()?, None);
        Ok(())
    })
    .await;
}
