//! What is left of a request that is refused before its body was read.

use std::time::Duration;

use axum::body::Body;
use futures::StreamExt as _;

/// So much of a body is read and thrown away, and for so long: then the connection can be used again, and the client gets
/// the answer although it is still sending.
const MOST_BYTES: usize = 8 << 20;
const LONGEST: Duration = Duration::from_secs(5);

/// Reads the body; `false` if there is more of it than anybody waits for.
pub(crate) async fn drain(body: Body) -> bool {
    let mut pieces = body.into_data_stream();
    let read = async {
        let mut count = 0;
        while let Some(piece) = pieces.next().await {
            count += piece.map_or(MOST_BYTES, |piece| piece.len());
            if count > MOST_BYTES {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(LONGEST, read).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn small_bodies_are_read_and_large_ones_given_up() {
        assert!(drain(Body::empty()).await);
        assert!(drain(Body::from(vec![0; MOST_BYTES])).await);
        assert!(!drain(Body::from(vec![0; MOST_BYTES + 1])).await);
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0; 1 << 20]));
        assert!(!drain(Body::from_stream(endless)).await);
    }
}
