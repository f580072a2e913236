//! Answers that cost a walk over many keys: made once, however many ask at the same time, and told again for a while.

use std::time::{Duration, Instant};

use hyper::body::Bytes;
use tokio::sync::Mutex;

use super::reply::Failure;

/// How much longer an answer is told again than it took to make: whoever asks all the time costs the store a tenth of its.
const TIMES_ITS_COST: u32 = 10;

/// One answer, or none yet. Those who ask while it is made wait for it.
#[derive(Default)]
pub(super) struct Known(Mutex<Option<KnownAnswer>>);

struct KnownAnswer {
    bytes: Bytes,
    until: Instant,
}

impl Known {
    /// The answer as it was made, at least this long ago.
    pub(super) async fn or_make(
        &self,
        least: Duration,
        make: impl AsyncFnOnce() -> Result<Bytes, Failure>,
    ) -> Result<Bytes, Failure> {
        let mut known = self.0.lock().await;
        let began = Instant::now();
        if let Some(KnownAnswer { bytes, until }) = &*known
            && began < *until
        {
            return Ok(bytes.clone());
        }
        let bytes = make().await?;
        let lasts = least.max(began.elapsed() * TIMES_ITS_COST);
        *known = Some(KnownAnswer { bytes: bytes.clone(), until: Instant::now() + lasts });
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn an_answer_is_made_once_and_again_when_its_time_is_over() {
        let made = Cell::new(0_u8);
        let make = async || {
            made.set(made.get() + 1);
            Ok(Bytes::from(vec![made.get()]))
        };
        let known = Known::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let long = Duration::from_secs(60);
            assert_eq!(known.or_make(long, &make).await.unwrap(), [1_u8].as_slice());
            assert_eq!(known.or_make(long, &make).await.unwrap(), [1_u8].as_slice());
            let brief = Known::default();
            brief.or_make(Duration::ZERO, &make).await.unwrap();
            std::thread::sleep(Duration::from_millis(50));
            brief.or_make(Duration::ZERO, &make).await.unwrap();
        });
        assert_eq!(made.get(), 3);
    }
}
