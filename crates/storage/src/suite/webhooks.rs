//! Deliveries of webhooks.

use serde_json::json;

use super::{ALL, assistant_id, at, map, raw, read, run, run_id, scope, thread, thread_id, write};
use crate::{
    Page, RawJson, Result, Scope, Storage, WriteTx,
    webhooks::{Delivery, DeliveryStatus},
};

/// The end of run `n` on thread `n`, at `at(n)`, to be told at once.
pub(super) fn delivery(n: u32, host: &str) -> Delivery {
    let time = at(n.into());
    Delivery {
        trace: Some(RawJson::trusted(r#"{"traceparent":"00-1-2-01"}"#)),
        run_id: run_id(n.into()),
        thread_id: thread_id(n.into()),
        assistant_id: assistant_id(1),
        url: format!("https://{host}/hook"),
        host: host.into(),
        status: DeliveryStatus::Pending,
        attempts: 0,
        created_at: time,
        updated_at: time,
        due_at: Some(time),
        outcome: None,
        metadata: map(json!({"n": n})),
    }
}

fn add(tx: &dyn WriteTx, n: u32, host: &str) -> Result<()> {
    tx.insert_delivery(&delivery(n, host), &raw(json!({"run": n})))
}

fn settle(tx: &dyn WriteTx, n: u32, micros: i64) -> Result<()> {
    let settled = Delivery {
        status: DeliveryStatus::Delivered,
        attempts: 1,
        updated_at: at(micros),
        due_at: None,
        outcome: Some("200".into()),
        ..delivery(n, "a")
    };
    assert!(tx.update_delivery(&settled)?);
    Ok(())
}

fn numbers(found: &[Delivery]) -> Vec<u64> {
    found.iter().map(|found| found.metadata["n"].as_u64().unwrap()).collect()
}

pub async fn inserted_comes_back(storage: &dyn Storage) {
    write(storage, |tx| {
        add(tx, 1, "a")?;
        // A run ends once.
        tx.insert_delivery(&delivery(1, "b"), &raw(json!("other")))
    })
    .await;
    read(storage, |tx| {
        let found = tx.get_delivery(&Scope::server(), run_id(1))?;
        assert_eq!(found, Some(delivery(1, "a")));
        assert_eq!(tx.delivery_payload(run_id(1))?, Some(raw(json!({"run": 1}))));
        assert_eq!(tx.get_delivery(&Scope::server(), run_id(2))?, None);
        assert_eq!(tx.delivery_payload(run_id(2))?, None);
        Ok(())
    })
    .await;
}

pub async fn due_are_oldest_first_without_some_hosts(storage: &dyn Storage) {
    write(storage, |tx| {
        for (n, host) in [(3, "a"), (1, "a"), (2, "b"), (9, "c")] {
            add(tx, n, host)?;
        }
        Ok(())
    })
    .await;
    read(storage, |tx| {
        let due = |except: &[&str], limit| {
            let except: Vec<String> = except.iter().map(|&host| host.into()).collect();
            tx.due_deliveries(at(5), &except, limit).map(|found| numbers(&found))
        };
        assert_eq!(due(&[], 10)?, [1, 2, 3]);
        assert_eq!(due(&[], 2)?, [1, 2]);
        assert_eq!(due(&["a", "x"], 10)?, [2]);
        assert_eq!(tx.next_delivery(at(5))?, Some(at(9)));
        assert_eq!(tx.next_delivery(at(9))?, None);
        Ok(())
    })
    .await;
}

pub async fn settled_are_not_due_and_swept(storage: &dyn Storage) {
    write(storage, |tx| {
        (1..=3).try_for_each(|n| add(tx, n, "a"))?;
        assert_eq!(tx.oldest_settled_delivery()?, None);
        settle(tx, 1, 20)?;
        settle(tx, 2, 10)?;
        assert!(!tx.update_delivery(&delivery(7, "a"))?);
        assert_eq!(numbers(&tx.due_deliveries(at(50), &[], 10)?), [3]);
        assert_eq!(tx.oldest_settled_delivery()?, Some(at(10)));
        let settled = tx.get_delivery(&Scope::server(), run_id(1))?.unwrap();
        assert_eq!((settled.attempts, settled.outcome.as_deref()), (1, Some("200")));
        tx.sweep_deliveries(at(20))?;
        let left = tx.list_deliveries(&Scope::server(), None, ALL)?;
        assert_eq!(numbers(&left), [3, 1]);
        Ok(())
    })
    .await;
}

pub async fn listed_newest_first_by_status_and_scope(storage: &dyn Storage) {
    write(storage, |tx| {
        (1..=4).try_for_each(|n| add(tx, n, "a"))?;
        settle(tx, 2, 10)
    })
    .await;
    read(storage, |tx| {
        let list = |scope: &Scope, status, page| {
            tx.list_deliveries(scope, status, page).map(|found| numbers(&found))
        };
        let all = &Scope::server();
        assert_eq!(list(all, None, ALL)?, [4, 3, 2, 1]);
        assert_eq!(list(all, None, Page { limit: 2, offset: 1 })?, [3, 2]);
        assert_eq!(list(all, Some(DeliveryStatus::Delivered), ALL)?, [2]);
        assert_eq!(list(&scope(json!({"n": 3})), None, ALL)?, [3]);
        assert!(tx.get_delivery(&scope(json!({"n": 3})), run_id(4))?.is_none());
        Ok(())
    })
    .await;
}

pub async fn go_away_with_their_thread_and_run(storage: &dyn Storage) {
    write(storage, |tx| {
        tx.insert_thread(&thread(1))?;
        tx.insert_thread(&thread(3))?;
        tx.insert_run(&run(3, 3))?;
        add(tx, 3, "a")?;
        assert!(tx.delete_run(&Scope::server(), run_id(3))?);
        add(tx, 1, "a")?;
        add(tx, 2, "a")?;
        assert!(tx.delete_thread(&Scope::server(), thread_id(1))?);
        assert_eq!(numbers(&tx.list_deliveries(&Scope::server(), None, ALL)?), [2]);
        Ok(())
    })
    .await;
}
