//! Adapters that cannot be built: the pool does not start, and says why.

use std::time::Duration;

use futures_util::future::join_all;
use slither::{Pool, RestartBudget, Slither, Value};

use super::{PYTHON, profiles, with};
use crate::support::{Folder, until, within};

async fn refusal(pool: Pool) -> String {
    Slither::builder().pool(pool).start().await.expect_err("it does not start").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_imported_or_built_fails_the_start_with_the_traceback() {
    within(async {
        for (profile, _, pool) in profiles("Broken") {
            let error = refusal(pool.size(3)).await;
            let said = "pool `default` cannot be started: a worker could not be given its adapter: building \
                        'showcase:Broken' failed: FileNotFoundError: there is no model.bin\nTraceback (most recent call last):";
            assert!(error.starts_with(said), "{profile}: {error}");
            assert!(error.contains("in load_model"), "{profile}: {error}");
            // At once, and not when the restart budget is spent.
            assert!(error.ends_with("\nFileNotFoundError: there is no model.bin"), "{profile}: {error}");
            assert!(!error.contains("_hosted.py"), "{profile}: {error}");
        }
        let pool = |class: &str| Pool::processes("p").size(1).python_path(PYTHON).adapter(class);
        let error = refusal(pool("no_such_module.Class")).await;
        assert!(error.contains("could not be given its adapter: no module named 'no_such_module'"), "{error}");
        assert!(error.contains("searched in:"), "{error}");
        let error = refusal(pool("showcase.Prediction")).await;
        assert!(error.contains("'showcase' has no 'Prediction'"), "{error}");
        assert!(error.contains("hint: did you mean 'Predictions'?"), "{error}");
        let error = refusal(pool("time:sleep")).await;
        assert!(error.contains("'time:sleep' is of type builtin_function_or_method, and no class"), "{error}");
        let error = refusal(pool("showcase")).await;
        assert_eq!(
            error,
            "pool `p`: `showcase` does not name an adapter's class\n  hint: expected `package.module:Class`, or \
             `package.module.Class`"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_takes_too_long_fails_the_start_with_where_it_is() {
    within(async {
        let each = profiles("Slow").into_iter().map(async |(profile, _, pool)| {
            // Ample, as the worker is to be building when it is over.
            let error = refusal(pool.start_timeout(Duration::from_secs(10))).await;
            let said = "pool `default` cannot be started: a worker needs more than 10 s to build its adapter \
                        `showcase:Slow`\nhint: see `Pool::start_timeout`\n";
            assert!(error.starts_with(said), "{profile}: {error}");
            assert!(error.contains("in load_for_long"), "{profile}: {error}");
        });
        join_all(each).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_can_be_built_no_more_costs_the_restart_budget() {
    within(async {
        let folder = Folder::new();
        let model = folder.path("model");
        std::fs::write(&model, "").unwrap();
        let pool = with(Pool::processes("default"), "BrokenLater")
            .env("MODEL", &model)
            .breaker(None)
            .restart_budget(RestartBudget {
                deaths: 2,
                period: Duration::from_secs(60),
                ..RestartBudget::default()
            });
        let slither = Slither::builder().pool(pool).start().await.unwrap();
        let pid: i32 = slither.call("pid", &()).await.unwrap();
        std::fs::remove_file(&model).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        let mut error = None;
        while error.is_none() {
            error = slither
                .call::<_, Value>("pid", &())
                .await
                .err()
                .filter(|error| error.kind() == slither::ErrorKind::Pool);
        }
        let error = error.unwrap().to_string();
        assert!(error.contains("could not be given its adapter"), "{error}");
        assert!(error.contains("the model is gone"), "{error}");
        until(|| slither.stats("default").unwrap().workers.is_empty()).await;
        assert_eq!(slither.stats("default").unwrap().deaths, 3, "the one that was killed, and two");
    })
    .await;
}
