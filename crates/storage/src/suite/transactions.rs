//! Transactions: what closures see of each other.

use super::{add_threads, at, read, thread, thread_id, write};
use crate::{
    Cost, Error, Scope, Storage,
    threads::{Changes, Columns, Filter},
};

const ALL: &Scope = &Scope::server();

/// Closures that wait together; every third refuses after it has changed something.
pub async fn refusal_undoes_only_itself(storage: &dyn Storage) {
    let mut waiting = Vec::new();
    for n in 1..=60 {
        waiting.push(Box::pin(storage.write(move |tx| {
            tx.insert_thread(&thread(n))?;
            if n % 3 == 0 { Err(Error::Duplicate("nothing")) } else { Ok(()) }
        })));
    }
    // Every future is polled once before the first is awaited, so that they queue up behind each other.
    let results = futures_in_order(waiting).await;
    for (n, result) in (1_u32..).zip(&results) {
        assert_eq!(result.is_err(), n % 3 == 0, "{n}: {result:?}");
        let id = thread_id(n.into());
        let found = read(storage, move |tx| tx.get_thread(ALL, id, Columns::Header)).await;
        assert_eq!(found.is_some(), n % 3 != 0, "{n}");
    }
}

/// Polls all before waiting for any; results in order.
async fn futures_in_order<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut results: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut ready = true;
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none() {
                match std::pin::Pin::new(future).poll(context) {
                    std::task::Poll::Ready(output) => *result = Some(output),
                    std::task::Poll::Pending => ready = false,
                }
            }
        }
        if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}

pub async fn a_write_sees_its_own_changes(storage: &dyn Storage) {
    write(storage, |tx| {
        tx.insert_thread(&thread(1))?;
        assert_eq!(tx.get_thread(ALL, thread_id(1), Columns::Full)?, Some(thread(1)));
        assert!(tx.delete_thread(ALL, thread_id(1))?);
        assert_eq!(tx.get_thread(ALL, thread_id(1), Columns::Full)?, None);
        Ok(())
    })
    .await;
}

/// A write that returns in the middle of a read is not seen by it.
pub async fn a_read_is_one_snapshot(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    let (begun, wait_begun) = std::sync::mpsc::channel();
    let (written, wait_written) = std::sync::mpsc::channel();
    let reading = storage.read(Cost::Scan, move |tx| {
        let before = tx.count_threads(ALL, &Filter::default())?;
        begun.send(()).unwrap();
        wait_written.recv().unwrap();
        let after = tx.count_threads(ALL, &Filter::default())?;
        Ok::<_, Error>((before, after))
    });
    let writing = async move {
        // Polled after the read has been started on another thread.
        wait_begun.recv().unwrap();
        write(storage, |tx| tx.insert_thread(&thread(2))).await;
        written.send(()).unwrap();
        Ok((0, 0))
    };
    type Counts = crate::Result<(u64, u64)>;
    let both: Vec<std::pin::Pin<Box<dyn Future<Output = Counts> + Send + '_>>> =
        vec![Box::pin(reading), Box::pin(writing)];
    let results = futures_in_order(both).await;
    assert_eq!(*results[0].as_ref().unwrap(), (1, 1));
    assert_eq!(read(storage, |tx| tx.count_threads(ALL, &Filter::default())).await, 2);
}

pub async fn a_read_sees_what_returned_before(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    for n in 0..200 {
        write(storage, move |tx| {
            let changes = Changes { updated_at: Some(at(n)), ..Changes::default() };
            tx.update_thread(ALL, thread_id(1), &changes)
        })
        .await;
        for cost in [Cost::Point, Cost::Scan] {
            let job = |tx: &dyn crate::ReadTx| tx.get_thread(ALL, thread_id(1), Columns::Header);
            let found = storage.read(cost, job).await.unwrap();
            assert_eq!(found.unwrap().updated_at, at(n));
        }
    }
}

pub async fn a_panic_harms_nobody_else(storage: &dyn Storage) {
    let result = storage
        .write(|tx| {
            tx.insert_thread(&thread(1))?;
            if tx.count_threads(ALL, &Filter::default())? == 1 {
                panic!("a panic that a test asked for");
            }
            Ok::<_, Error>(())
        })
        .await;
    assert!(matches!(result, Err(Error::Backend(_))), "{result:?}");
    assert_eq!(read(storage, |tx| tx.count_threads(ALL, &Filter::default())).await, 0);
    add_threads(storage, 1).await;
}

pub async fn closed_storage_is_unavailable(storage: &dyn Storage) {
    add_threads(storage, 1).await;
    storage.close().await;
    storage.close().await;
    let late = storage.write(|tx| tx.insert_thread(&thread(2))).await;
    assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
    for cost in [Cost::Point, Cost::Scan] {
        let late = storage.read(cost, |tx| tx.count_threads(ALL, &Filter::default())).await;
        assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
    }
}
