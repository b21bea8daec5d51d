//! Rust stages: batches, ways to an output, and functions that take long.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use slither::dispatch::OnError;
use slither::pipe::{Event, Pipe, PipeBuilder, RunOptions, run_pipe, stream_pipe};
use slither::{Context, ErrorKind, RunError};

use crate::support::{until, within};

fn same(n: u64, _: &Context) -> u64 {
    n
}

/// A door that blocks the threads that come to it until it is opened.
#[derive(Default)]
struct Door {
    came: AtomicU64,
    open: Mutex<bool>,
    changed: Condvar,
}

impl Door {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn pass(&self) {
        self.came.fetch_add(1, SeqCst);
        let (_open, timeout) = self
            .changed
            .wait_timeout_while(self.open.lock().unwrap(), Duration::from_secs(120), |open| !*open)
            .unwrap();
        assert!(!timeout.timed_out(), "somebody opens the door");
    }
}

#[tokio::test]
async fn a_batch_stage_gets_full_batches_in_order_and_the_rest_at_the_end() {
    for concurrency in [1, 3] {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let seen = sizes.clone();
        let pipe = Pipe::builder("batches")
            .map_batch("sum", 8, move |numbers: Vec<u64>, _: &Context| {
                seen.lock().unwrap().push(numbers.len());
                numbers.into_iter().map(|n| n * 2).collect()
            })
            .concurrency(concurrency)
            .build()
            .unwrap();
        let outputs = within(run_pipe(&pipe, 0u64..100, RunOptions::new())).await.unwrap();
        let expected: Vec<u64> = (0..100).map(|n| n * 2).collect();
        assert_eq!(outputs.payloads("default"), expected.iter().collect::<Vec<_>>());
        let mut sizes = sizes.lock().unwrap().clone();
        sizes.sort_unstable();
        assert_eq!(sizes, [&[4][..], &[8; 12]].concat());
        let stage = &outputs.report().stages[0];
        assert_eq!((stage.items_in, stage.items_out), (100, 100));
    }
}

#[tokio::test]
async fn a_partial_batch_waits_no_longer_than_its_max_wait() {
    let pipe = Pipe::builder("waits")
        .map_batch("b", 1000, |numbers: Vec<u64>, _: &Context| numbers)
        .max_wait(Duration::from_millis(5))
        .build()
        .unwrap();
    // Three items, and then nothing more for ever.
    let source = stream::iter(0u64..3).chain(stream::pending());
    let mut run = stream_pipe(&pipe, source, RunOptions::new()).await.unwrap();
    for expected in 0..3 {
        match within(run.next()).await {
            Some(Ok(Event::Emitted { item, .. })) => assert_eq!(item.payload, expected),
            other => panic!("{other:?}"),
        }
    }
    assert!(within(run.cancel()).await.ledger.balanced());
}

#[tokio::test]
async fn batches_run_at_a_time_as_many_as_told() {
    let (door, inside, most) = (Arc::new(Door::default()), Arc::new(AtomicUsize::new(0)), Arc::default());
    let (at, now, max): (_, _, Arc<AtomicUsize>) = (door.clone(), inside.clone(), Arc::clone(&most));
    let pipe = Pipe::builder("at a time")
        .map_batch("b", 2, move |numbers: Vec<u64>, _: &Context| {
            let running = now.fetch_add(1, SeqCst) + 1;
            max.fetch_max(running, SeqCst);
            if running == 3 {
                at.open();
            }
            at.pass();
            now.fetch_sub(1, SeqCst);
            numbers
        })
        .concurrency(3)
        .build()
        .unwrap();
    let outputs = within(run_pipe(&pipe, 0u64..40, RunOptions::new())).await.unwrap();
    assert!(outputs.payloads("default").into_iter().is_sorted());
    assert_eq!(most.load(SeqCst), 3);
}

fn picky(policy: OnError) -> Pipe<u64, u64> {
    Pipe::builder("picky")
        .try_map_batch("pick", 4, |numbers: Vec<u64>, _: &Context| {
            assert!(!numbers.contains(&9), "a nine");
            let mut results: Vec<_> =
                numbers.into_iter().map(|n| if n == 2 { Err("a two") } else { Ok(n) }).collect();
            if results.contains(&Ok(14)) {
                results.pop();
            }
            results
        })
        .on_error("pick", policy)
        .build()
        .unwrap()
}

#[tokio::test]
async fn in_a_batch_stage_one_item_fails_alone_and_a_broken_batch_together() {
    let outputs = within(run_pipe(&picky(OnError::Skip), 0u64..20, RunOptions::new())).await.unwrap();
    let failed: Vec<_> = outputs
        .failures()
        .iter()
        .map(|failure| (failure.item.0, failure.batch.len(), failure.error.kind(), failure.error.message()))
        .collect();
    let (nine, short) = ("panicked: a nine", "expected 4 results, got 3");
    assert_eq!(
        failed,
        [
            (2, 1, ErrorKind::Handler, "a two"),
            (8, 4, ErrorKind::Handler, nine),
            (9, 4, ErrorKind::Handler, nine),
            (10, 4, ErrorKind::Handler, nine),
            (11, 4, ErrorKind::Handler, nine),
            (12, 4, ErrorKind::Contract, short),
            (13, 4, ErrorKind::Contract, short),
            (14, 4, ErrorKind::Contract, short),
            (15, 4, ErrorKind::Contract, short),
        ]
    );
    assert_eq!((outputs.ledger().emitted, outputs.ledger().failed), (11, 9));

    let error = within(run_pipe(&picky(OnError::Halt), 3u64..20, RunOptions::new())).await.unwrap_err();
    assert!(matches!(&error.cause, RunError::Halted(failure) if failure.error.message() == nine), "{error}");
    assert_eq!(error.outputs.payloads("default"), [&3, &4, &5, &6]);
    assert_eq!(error.outputs.failures().len(), 4, "the whole batch is told");
    assert!(error.outputs.ledger().balanced());
}

#[tokio::test]
async fn a_diverted_item_leaves_by_its_output_and_is_counted_there() {
    for concurrency in [1, 3] {
        let pipe = Pipe::builder("divert")
            .divert("small", "large", |n: u64, _: &Context| if n < 10 { Ok(n as u8) } else { Err(n) })
            .concurrency(concurrency)
            .map("wide", |n: u8, _: &Context| u64::from(n) * 1000)
            .output("large")
            .build()
            .unwrap();
        let outputs = within(run_pipe(&pipe, 0u64..20, RunOptions::new())).await.unwrap();
        assert_eq!(outputs.payloads("large"), (10..20).collect::<Vec<u64>>().iter().collect::<Vec<_>>());
        assert_eq!(outputs.payloads("default").len(), 10);
        let report = outputs.report();
        assert!(report.ledger.balanced() && report.ledger.emitted == 20);
        assert_eq!((report.stages[0].items_out, report.stages[1].items_in), (20, 10));
    }
}

#[tokio::test]
async fn a_function_that_blocks_holds_up_no_other_task() {
    // One runtime thread: if any of these blocked it, nobody could see that it came, and open the door.
    let doors: [Arc<Door>; 3] = Default::default();
    let [one, two, three] = doors.clone();
    let pipe = Pipe::builder("blocks")
        .map("map", move |n: u64, _: &Context| {
            one.pass();
            n
        })
        .map_batch("batch", 2, move |numbers: Vec<u64>, _: &Context| {
            two.pass();
            numbers
        })
        .filter_map("filter", move |n: u64, _: &Context| {
            three.pass();
            Some(n)
        })
        .build()
        .unwrap();
    let run = tokio::spawn(async move { run_pipe(&pipe, 0u64..10, RunOptions::new()).await });
    for door in doors {
        within(until(|| door.came.load(SeqCst) > 0)).await;
        door.open();
    }
    assert_eq!(within(run).await.unwrap().unwrap().ledger().emitted, 10);
}

#[tokio::test]
async fn a_function_that_turns_out_slow_moves_to_a_thread_and_a_short_one_comes_back() {
    let main = std::thread::current().id();
    let here: Arc<Mutex<Vec<u64>>> = Arc::default();
    let seen = here.clone();
    let pipe = Pipe::builder("turns")
        .map("map", move |n: u64, _: &Context| {
            if std::thread::current().id() == main {
                seen.lock().unwrap().push(n);
            }
            if n == 5000 {
                // It waits for nobody: it takes long.
                let began = std::time::Instant::now();
                while began.elapsed() < Duration::from_millis(5) {
                    std::hint::spin_loop();
                }
            }
            n
        })
        .build()
        .unwrap();
    let outputs = within(run_pipe(&pipe, 0u64..10_000, RunOptions::new())).await.unwrap();
    assert!(outputs.payloads("default").into_iter().is_sorted());
    let here = here.lock().unwrap();
    assert!(!here.contains(&0), "nothing is known of the first call");
    assert!(here.iter().all(|n| *n <= 5000), "after a long call all are on threads");
}

#[tokio::test]
async fn children_that_take_long_are_made_on_a_thread() {
    let door = Arc::new(Door::default());
    let at = door.clone();
    let threads: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let seen = threads.clone();
    let pipe = Pipe::builder("children")
        .flat_map("repeat", move |n: u64, _: &Context| {
            let (at, seen) = (at.clone(), seen.clone());
            (0..n).inspect(move |child| {
                seen.lock().unwrap().insert(format!("{:?}", std::thread::current().id()));
                match child {
                    // The first is long, and so the one that blocks is on a thread.
                    0 => {
                        let began = std::time::Instant::now();
                        while began.elapsed() < Duration::from_millis(5) {
                            std::hint::spin_loop();
                        }
                    }
                    1 => at.pass(),
                    _ => {}
                }
            })
        })
        .build()
        .unwrap();
    let run = tokio::spawn(async move { run_pipe(&pipe, [200u64, 0, 3], RunOptions::new()).await });
    within(until(|| door.came.load(SeqCst) > 0)).await;
    door.open();
    let outputs = within(run).await.unwrap().unwrap();
    let expected: Vec<u64> = (0..200).chain(0..3).collect();
    assert_eq!(outputs.payloads("default"), expected.iter().collect::<Vec<_>>());
    assert_eq!((outputs.ledger().expanded, outputs.ledger().dropped), (199 + 2, 1));
    assert!(threads.lock().unwrap().len() > 1);
}

#[tokio::test]
async fn cancelling_does_not_wait_for_a_thread() {
    let door = Arc::new(Door::default());
    let at = door.clone();
    let pipe = Pipe::builder("cancel")
        .map_batch("b", 1, move |numbers: Vec<u64>, _: &Context| {
            at.pass();
            numbers
        })
        .build()
        .unwrap();
    let run = stream_pipe(&pipe, stream::iter(0u64..), RunOptions::new()).await.unwrap();
    within(until(|| door.came.load(SeqCst) == 1)).await;
    let report = within(run.cancel()).await;
    assert!(report.ledger.balanced() && report.ledger.emitted == 0, "{report}");
    door.open();
}

fn refused<In: Send + 'static, Out: Send + 'static>(builder: PipeBuilder<In, Out>) -> String {
    builder.build().expect_err("the pipe is wrong").to_string()
}

#[test]
fn rust_stages_are_checked_when_the_pipe_is_built() {
    let pipe = || Pipe::builder("p").map("first", same);
    let diverting = |output: &'static str| {
        pipe().divert("check", output, |n: u64, _: &Context| if n > 1 { Ok(n) } else { Err(n) })
    };
    assert_eq!(
        refused(diverting("reject").output("rejects")),
        "unknown output `reject`\n  hint: did you mean `rejects`?"
    );
    assert_eq!(
        refused(diverting("rejects").map("text", |n: u64, _: &Context| n.to_string())),
        "stage `check` cannot send items to `rejects`: they are `u64`\n  \
         hint: the outputs of the pipe carry `alloc::string::String`"
    );
    let batch = |size| pipe().map_batch("b", size, |n: Vec<u64>, _: &Context| n);
    assert_eq!(refused(batch(0)), "stage `b`: the size of its batches must be at least 1, got 0");
    assert_eq!(
        refused(pipe().max_wait(Duration::from_secs(1))),
        "stage `first` has no `max_wait`\n  \
         hint: it follows a `map_batch`; a stage with an executor takes it with its batching"
    );
    assert_eq!(
        refused(batch(2).on_error("b", OnError::Isolate)),
        "stage `b` cannot isolate: it is a Rust stage\n  \
         hint: expected halt or skip; the others are for stages with an executor"
    );
    let plan = diverting("rejects")
        .map_batch("b", 32, |n: Vec<u64>, _: &Context| n)
        .max_wait(Duration::from_millis(5))
        .concurrency(2)
        .build()
        .unwrap();
    let expected = "\
pipe `p`, channels of 64 items
  1 first  map, 1 at a time, on error halt
  2 check  divert to `rejects`, 1 at a time, on error halt
  3 b      map_batch, batches of 32 or after 5ms, 2 at a time, on error halt
  outputs: rejects | default";
    assert_eq!(plan.plan().to_string(), expected);
}
