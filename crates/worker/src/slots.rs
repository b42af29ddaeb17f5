//! Room in workers: shared with others, or a whole worker for a run that must have no company.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering},
};

use agent_server_domain::ports::Slot;

use crate::{pool::Inner, worker::Worker};

/// Room for one run at one worker.
pub(crate) struct PoolSlot {
    worker: Arc<Worker>,
    /// Whether the worker is to execute nothing else.
    alone: bool,
    /// Of a slot beyond the limit: how deep its run is nested.
    depth: Option<u32>,
    released: AtomicBool,
    pool: Weak<Inner>,
}

impl PoolSlot {
    /// Takes the room. The caller holds the lock of the pool's workers, so that nobody else sees the same room.
    fn take(pool: &Arc<Inner>, worker: &Arc<Worker>, alone: bool, depth: Option<u32>) -> Box<Self> {
        worker.load.fetch_add(1, Ordering::Relaxed);
        if alone {
            worker.is_alone.store(true, Ordering::Relaxed);
        }
        if let Some(depth) = depth {
            *worker.nested.lock().entry(depth).or_default() += 1;
        }
        Box::new(Self {
            worker: Arc::clone(worker),
            alone,
            depth,
            released: AtomicBool::new(false),
            pool: Arc::downgrade(pool),
        })
    }

    /// Where the room is.
    pub(crate) fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    /// Whether the worker executes nothing else.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone
    }

    /// Gives the room back; the dispatcher is told when the slot is dropped.
    pub(crate) fn release(&self) {
        if !self.released.swap(true, Ordering::Relaxed) {
            if self.alone {
                self.worker.is_alone.store(false, Ordering::Relaxed);
            }
            if let Some(depth) = self.depth {
                *self.worker.nested.lock().entry(depth).or_insert(1) -= 1;
            }
            self.worker.load.fetch_sub(1, Ordering::Relaxed);
            self.worker.freed();
        }
    }
}

impl Slot for PoolSlot {}

impl Drop for PoolSlot {
    fn drop(&mut self) {
        self.release();
        if let Some(pool) = self.pool.upgrade() {
            pool.sink.slot_freed();
        }
    }
}

fn is_open(worker: &Worker) -> bool {
    worker.is_usable() && !worker.is_alone.load(Ordering::Relaxed) && !worker.pulse.is_missing()
}

fn least_busy<'a>(workers: impl Iterator<Item = &'a Arc<Worker>>) -> Option<&'a Arc<Worker>> {
    workers.min_by_key(|worker| (worker.load.load(Ordering::Relaxed), worker.index))
}

/// Room at the least busy worker.
pub(crate) fn shared(pool: &Arc<Inner>) -> Option<Box<PoolSlot>> {
    shared_of(pool, &pool.workers.lock())
}

fn shared_of(pool: &Arc<Inner>, workers: &[Arc<Worker>]) -> Option<Box<PoolSlot>> {
    let open =
        workers.iter().filter(|worker| is_open(worker) && !worker.is_held.load(Ordering::Relaxed));
    let worker = least_busy(open)?;
    let has_room = worker.load.load(Ordering::Relaxed) < pool.options.jobs_per_worker;
    has_room.then(|| PoolSlot::take(pool, worker, false, None))
}

/// Room for a run that another run waits for: that of everybody, else room of its depth. Where nothing else is left, also at
/// a worker that is to be alone with the parent or to become free of runs, which it cannot before the parent ends.
pub(crate) fn nested(pool: &Arc<Inner>, depth: u32) -> Option<Box<PoolSlot>> {
    let workers = pool.workers.lock();
    if let Some(slot) = shared_of(pool, &workers) {
        return Some(slot);
    }
    let has_room = |worker: &&Arc<Worker>| {
        let taken = worker.nested.lock().get(&depth).copied().unwrap_or(0);
        taken < pool.options.jobs_per_worker && worker.is_usable() && !worker.pulse.is_missing()
    };
    let worker = workers.iter().filter(has_room).min_by_key(|worker| {
        let load = worker.load.load(Ordering::Relaxed);
        (worker.is_alone.load(Ordering::Relaxed), load, worker.index)
    })?;
    Some(PoolSlot::take(pool, worker, false, Some(depth)))
}

/// Gives attempts that a worker has not begun to workers that answer, as far as these have room.
///
/// Under the lock of the pool's workers, so that a cancel finds each of them here or there.
pub(crate) fn relocate(pool: &Arc<Inner>, from: &Worker, jobs: &[u64]) {
    let workers = pool.workers.lock();
    for job in jobs {
        let Some(slot) = shared_of(pool, &workers) else { return };
        let Some((old, order)) = from.take_order(*job) else { continue };
        tracing::warn!(worker = from.index, run_id = %order.lease.run_id, to = slot.worker.index,
            "a worker does not answer; a run that waits for it goes to another");
        drop(old);
        let to = Arc::clone(&slot.worker);
        if let Err((slot, lease)) = to.start(slot, order) {
            pool.tell_moved(slot, lease);
        }
    }
}

/// Whether so many workers have been taken as a whole that the rest is needed for runs that may have company.
fn is_enough(pool: &Inner, workers: &[Arc<Worker>]) -> bool {
    let alone = |worker: &&Arc<Worker>| worker.is_alone.load(Ordering::Relaxed);
    let most = (pool.options.workers.max(1) - 1).max(1);
    workers.iter().filter(alone).count() >= most
}

/// A whole worker.
pub(crate) fn alone(pool: &Arc<Inner>) -> Option<Box<PoolSlot>> {
    let workers = pool.workers.lock();
    if is_enough(pool, &workers) {
        return None;
    }
    let worker = least_busy(workers.iter().filter(|worker| is_open(worker) && worker.is_empty()))?;
    worker.is_held.store(false, Ordering::Relaxed);
    Some(PoolSlot::take(pool, worker, true, None))
}

/// Keeps new runs away from a worker as long as somebody wants a whole one, so that there will be one.
pub(crate) fn make_room(pool: &Arc<Inner>, wanted: bool) {
    let is_freed = {
        let workers = pool.workers.lock();
        let is_held = |worker: &&Arc<Worker>| worker.is_held.load(Ordering::Relaxed);
        if wanted && !is_enough(pool, &workers) {
            if !workers.iter().filter(is_held).any(|worker| is_open(worker)) {
                let open = workers.iter().filter(|worker| is_open(worker));
                if let Some(worker) = least_busy(open) {
                    worker.is_held.store(true, Ordering::Relaxed);
                }
            }
            false
        } else {
            let release = |worker: &&Arc<Worker>| worker.is_held.swap(false, Ordering::Relaxed);
            workers.iter().filter(release).count() > 0
        }
    };
    if is_freed {
        pool.sink.slot_freed();
    }
}
