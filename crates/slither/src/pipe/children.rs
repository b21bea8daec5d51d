//! The children of one item, made one by one: in the stage's task, or on a thread once one took long.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::error::{ErrorKind, ItemError};

/// A child that takes longer holds up a thread of the runtime.
const TOO_LONG_HERE: Duration = Duration::from_millis(1);
/// A thread makes children for so long before it hands them over, and so many at most: the first must not wait
/// for the last, and all of them need memory.
const SLICE: Duration = Duration::from_millis(1);
const MOST: usize = 64;

type Iter<T> = Box<dyn Iterator<Item = T> + Send>;

/// An iterator that may block, end, panic, or go on for ever.
pub(super) struct Children<T> {
    /// None once it has ended.
    iter: Option<Iter<T>>,
    /// Made, and not yet taken.
    made: std::vec::IntoIter<T>,
    /// What stands behind those.
    panicked: Option<ItemError>,
    slow: bool,
}

impl<T: Send + 'static> Children<T> {
    /// `slow` iterators are not tried in the task.
    pub(super) fn new(iter: Iter<T>, slow: bool) -> Self {
        Self { iter: Some(iter), made: Vec::new().into_iter(), panicked: None, slow }
    }

    /// Whether any child took so long that they are made on threads.
    pub(super) fn are_slow(&self) -> bool {
        self.slow
    }

    /// The next child; an error, which is the last, if the iterator panicked.
    pub(super) async fn next(&mut self) -> Option<Result<T, ItemError>> {
        loop {
            if let Some(child) = self.made.next() {
                return Some(Ok(child));
            }
            if let Some(error) = self.panicked.take() {
                return Some(Err(error));
            }
            let mut iter = self.iter.take()?;
            if !self.slow {
                let began = Instant::now();
                let child = guarded(&mut iter);
                self.slow = began.elapsed() > TOO_LONG_HERE;
                return match child {
                    Ok(Some(child)) => {
                        self.iter = Some(iter);
                        Some(Ok(child))
                    }
                    Ok(None) => None,
                    Err(error) => Some(Err(error)),
                };
            }
            let stopped = || ItemError::new(ErrorKind::Handler, "the runtime is shutting down");
            let made = tokio::task::spawn_blocking(move || make(iter)).await;
            (self.made, self.iter, self.panicked) = match made {
                Ok((made, end)) => {
                    let (iter, panicked) = end.map_or_else(|error| (None, Some(error)), |iter| (iter, None));
                    (made.into_iter(), iter, panicked)
                }
                Err(_) => (Vec::new().into_iter(), None, Some(stopped())),
            };
        }
    }
}

fn guarded<T>(iter: &mut Iter<T>) -> Result<Option<T>, ItemError> {
    catch_unwind(AssertUnwindSafe(|| iter.next())).map_err(|panic| ItemError::panicked(&*panic))
}

/// Some children, and the iterator if there may be more.
fn make<T>(mut iter: Iter<T>) -> (Vec<T>, Result<Option<Iter<T>>, ItemError>) {
    let (began, mut made) = (Instant::now(), Vec::new());
    while made.len() < MOST && began.elapsed() < SLICE {
        match guarded(&mut iter) {
            Ok(Some(child)) => made.push(child),
            Ok(None) => return (made, Ok(None)),
            Err(error) => return (made, Err(error)),
        }
    }
    (made, Ok(Some(iter)))
}
