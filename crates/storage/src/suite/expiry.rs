//! Lifetimes of threads.

use super::{at, read, thread, thread_id, write};
use crate::{
    Result, Scope, Storage, Timestamp, WriteTx,
    threads::{Changes, Columns, Thread, ThreadStatus, Ttl, TtlStrategy},
};

const ALL: &Scope = &Scope::server();

/// Thread `n` of time `at(n)`, which lives for 100 microseconds.
fn mortal(n: u32) -> Thread {
    Thread { ttl: Some(Ttl { strategy: TtlStrategy::KeepLatest, micros: 100 }), ..thread(n) }
}

fn expired(tx: &dyn WriteTx, micros: i64) -> Result<Vec<u64>> {
    let found = tx.expired_threads(at(micros), 10)?;
    Ok(found.iter().map(|thread| thread.metadata["n"].as_u64().unwrap()).collect())
}

fn touch(tx: &dyn WriteTx, n: u128, changes: Changes) -> Result<()> {
    assert!(tx.update_thread(ALL, thread_id(n), &changes)?);
    Ok(())
}

fn changed(micros: i64) -> Changes {
    Changes { updated_at: Some(at(micros)), ..Changes::default() }
}

pub async fn a_lifetime_comes_back(storage: &dyn Storage) {
    write(storage, |tx| {
        tx.insert_thread(&mortal(1))?;
        tx.insert_thread(&thread(2))?;
        let ttl = Some(Ttl { strategy: TtlStrategy::Delete, micros: 7 });
        touch(tx, 2, Changes { ttl, ..Changes::default() })?;
        touch(tx, 1, changed(3))
    })
    .await;
    read(storage, |tx| {
        for columns in [Columns::Header, Columns::Full] {
            let get = |n| tx.get_thread(ALL, thread_id(n), columns).map(Option::unwrap);
            assert_eq!(get(1)?.ttl, mortal(1).ttl);
            assert_eq!(get(1)?.expires_at(), Some(at(103)));
            let ttl = Some(Ttl { strategy: TtlStrategy::Delete, micros: 7 });
            assert_eq!((get(2)?.ttl, get(2)?.expires_at()), (ttl, Some(at(9))));
        }
        Ok(())
    })
    .await;
}

pub async fn lifetimes_end_in_order_and_are_put_off(storage: &dyn Storage) {
    write(storage, |tx| {
        for n in [2, 1, 3] {
            tx.insert_thread(&mortal(n))?;
        }
        tx.insert_thread(&thread(4))?;
        assert_eq!(tx.next_expiry(at(0))?, Some(at(101)));
        assert!(expired(tx, 100)?.is_empty());
        assert_eq!(expired(tx, 102)?, [1, 2]);
        assert_eq!(tx.expired_threads(at(500), 1)?.len(), 1);
        // Activity counts as a change.
        touch(tx, 1, changed(50))?;
        assert_eq!(expired(tx, 103)?, [2, 3]);
        assert_eq!(tx.next_expiry(at(0))?, Some(at(102)));
        tx.delete_thread(ALL, thread_id(2))?;
        tx.delete_thread(ALL, thread_id(3))?;
        assert_eq!(tx.next_expiry(at(0))?, Some(at(150)));
        tx.delete_thread(ALL, thread_id(1))?;
        assert_eq!(tx.next_expiry(at(0))?, None::<Timestamp>);
        Ok(())
    })
    .await;
}

pub async fn busy_threads_do_not_expire(storage: &dyn Storage) {
    write(storage, |tx| {
        tx.insert_thread(&Thread { status: ThreadStatus::Busy, ..mortal(1) })?;
        assert!(expired(tx, 500)?.is_empty());
        // The end of its run will be a change, after now.
        assert_eq!(tx.next_expiry(at(500))?, Some(at(600)));
        let status = Some(ThreadStatus::Idle);
        touch(tx, 1, Changes { status, ..changed(550) })?;
        assert_eq!(tx.next_expiry(at(550))?, Some(at(650)));
        assert_eq!(expired(tx, 650)?, [1]);
        Ok(())
    })
    .await;
}

pub async fn a_settled_end_comes_again_after_a_change(storage: &dyn Storage) {
    write(storage, |tx| {
        tx.insert_thread(&mortal(1))?;
        assert_eq!(expired(tx, 200)?, [1]);
        tx.settle_expiry(thread_id(1))?;
        assert!(expired(tx, 200)?.is_empty());
        assert_eq!(tx.next_expiry(at(200))?, None::<Timestamp>);
        touch(tx, 1, changed(300))?;
        assert_eq!(expired(tx, 400)?, [1]);
        Ok(())
    })
    .await;
}
