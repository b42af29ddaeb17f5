//! What goes with everything that is encrypted: of the request that is being answered, or of the row that is being changed.

use std::cell::RefCell;

use crate::Map;

tokio::task_local! {
    static OF_REQUEST: Map;
}

thread_local! {
    static OF_BLOBS: RefCell<Map> = RefCell::default();
}

/// Answers a request whose writes are encrypted in this context.
pub async fn with<F: Future>(context: Map, answer: F) -> F::Output {
    OF_REQUEST.scope(context, answer).await
}

/// The context of the request that is being answered; `None` for what the server does of its own accord.
pub fn current() -> Option<Map> {
    OF_REQUEST.try_with(Clone::clone).ok()
}

/// The context in which a backend encrypts what it is being given, for ciphers that it calls itself.
pub fn blob_context() -> Map {
    OF_BLOBS.with_borrow(Clone::clone)
}

/// Calls a backend whose blobs are encrypted in this context.
pub(super) fn with_blobs<T>(context: Map, call: impl FnOnce() -> T) -> T {
    let before = OF_BLOBS.replace(context);
    let result = call();
    OF_BLOBS.set(before);
    result
}
