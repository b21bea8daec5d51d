//! What workers print is drained and bounded, and never meets the protocol.

use slither::{ErrorKind, OnError, Value};

use super::{alone, counting_runtime};
use crate::support::{behave, pool, runtime, within};

fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn a_flood_is_drained_and_the_host_does_not_grow() {
    if !alone("output::a_flood_is_drained_and_the_host_does_not_grow") {
        return;
    }
    counting_runtime().block_on(within(async {
        let slither = runtime(pool(1)).await;
        let call = || behave("act").batch_size(2).on_error(OnError::Skip);
        let warm = slither.dispatch::<Value, Value>(["print".into()], call()).await.unwrap();
        assert_eq!(warm.ledger.emitted, 1);
        let before = resident();
        let items = ["flood", "print", "mutter", "segfault"].map(Value::from);
        let done = slither.dispatch::<Value, Value>(items, call()).await.unwrap();
        let grown = resident().saturating_sub(before);
        println!("100 MB of output: the host grew by {} KiB", grown >> 10);
        assert!(grown < 64 << 20, "{grown} bytes");
        let texts: Vec<_> = done.results.iter().map(|item| item.payload.as_str().unwrap()).collect();
        assert_eq!(texts, ["flood", "print"], "answers came through");
        let error = &done.failures[0].error;
        assert_eq!(error.kind(), ErrorKind::Crash);
        let stderr = &error.worker().unwrap().stderr;
        assert_eq!(stderr.last().unwrap(), r"about to \u{1b}[31mdie");
        assert!(stderr.len() <= 20 && stderr[0].starts_with("xxx") && stderr[0].len() < 5000);
    }));
}
