//! Adapters that were written for `snakepit_bridge` run as they are, and find whose package the pool means.

use futures_util::future::join_all;
use serde::Deserialize;
use slither::{AdapterStats, Pool};

use super::{PYTHON, free_threaded, start};
use crate::support::{Folder, within};

fn pools(class: &str) -> [Pool; 3] {
    let pools = [
        Pool::processes("default"),
        Pool::threads("default").threads_per_worker(4).io_bound(true),
        Pool::coroutines("default").concurrency(4),
    ];
    pools.map(|pool| pool.size(1).python_path(PYTHON).adapter(format!("from_snakepit.{class}")))
}

#[derive(Deserialize)]
struct Prediction {
    prediction: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threaded_adapter_predicts_logs_multiplies_and_counts() {
    within(async {
        let mut pools = pools("Threaded").map(|pool| pool.requirements(["numpy>=1.26"])).to_vec();
        if let Some(python) = free_threaded() {
            let pool = Pool::threads("default").size(1).threads_per_worker(4).python(python);
            let pool = pool.python_path(PYTHON).adapter("from_snakepit.Threaded");
            pools.push(pool.requirements(["numpy>=2.3"]));
        }
        for pool in pools {
            let slither = start(pool).await;
            let calls = (0..40).map(|number| {
                let slither = slither.clone();
                let text = "x".repeat(number % 5);
                async move { slither.call::<_, Prediction>("predict", &[text]).await.unwrap() }
            });
            for (number, answer) in join_all(calls).await.iter().enumerate() {
                assert_eq!(answer.prediction, number % 5);
            }
            let product: Vec<Vec<f64>> =
                slither.call("matrix_multiply", &[[[1.0, 2.0], [3.0, 4.0]]]).await.unwrap();
            assert_eq!(product, [[2.0, 4.0], [6.0, 8.0]]);
            let stats: AdapterStats = slither.call("get_thread_stats", &()).await.unwrap();
            assert_eq!((stats.total_requests, stats.active_requests), (42, 1));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plain_base_has_one_slot_and_knows_its_session() {
    within(async {
        for pool in pools("Plain") {
            let slither = start(pool).await;
            assert_eq!(slither.stats("default").unwrap().slots, 1);
            assert_eq!(slither.call::<_, u64>("double", &[21]).await.unwrap(), 42);
            let session = slither.open_session("default").await.unwrap();
            let whose: String = session.adapter().unwrap().call("whose", &()).await.unwrap();
            assert_eq!(whose, session.id().to_string());
            session.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_calls_its_tools_itself_is_asked_for_any_name() {
    within(async {
        for pool in pools("Dispatching") {
            let slither = start(pool).await;
            let args = std::collections::BTreeMap::from([("b", 1), ("a", 2)]);
            let said: (String, Vec<String>, bool) = slither.call("whatever it is", &args).await.unwrap();
            assert_eq!(said, ("whatever it is".to_owned(), vec!["a".to_owned(), "b".to_owned()], true));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_pools_with_an_adapter_find_the_package_and_a_folder_of_the_pool_comes_first() {
    within(async {
        let folder = Folder::new();
        std::fs::create_dir_all(folder.path("snakepit_bridge")).unwrap();
        std::fs::write(folder.path("snakepit_bridge/__init__.py"), "").unwrap();
        std::fs::write(
            folder.path("whose.py"),
            "import snakepit_bridge\nfrom slither import tool\nclass Whose:\n    @tool\n    def where(self):\n        \
             return snakepit_bridge.__file__\n",
        )
        .unwrap();
        let own = folder.path("snakepit_bridge/__init__.py");
        let mine = Pool::processes("mine").size(1).python_path(folder.path("")).adapter("whose:Whose");
        let slither = start(mine).await;
        assert_eq!(slither.call::<_, String>("where", &()).await.unwrap(), own);

        // What is installed for the interpreter comes later: there it could not serve.
        let installed = Folder::new();
        std::fs::rename(folder.path("whose.py"), installed.path("whose.py")).unwrap();
        let ours = Pool::processes("ours")
            .size(1)
            .python_path(installed.path(""))
            .env("PYTHONPATH", folder.path(""))
            .adapter("whose:Whose");
        let slither = start(ours).await;
        let found: String = slither.call("where", &()).await.unwrap();
        assert!(found.ends_with("for-adapters/snakepit_bridge/__init__.py"), "{found}");

        let without = Pool::processes("without").size(1).python_path(installed.path(""));
        let slither = start(without).await;
        let args = ["snakepit_bridge"];
        let found: Option<()> = slither.execute("without", "importlib.util:find_spec", &args).await.unwrap();
        assert_eq!(found, None);
    })
    .await;
}
