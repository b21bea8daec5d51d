//! What a session scopes: views, the context, and Python's state, which a run's own session does not have.

use serde::Deserialize;
use slither::pipe::Defaults;
use slither::store::{BoxError, Scope, Tables, Transaction};
use slither::{Pipe, Session, Slither, Store, Table, View};

use super::{keep, pid};
use crate::support::{pool, within};

const NOTHING: Table<u64, u64> = Table::set("nothing");

#[derive(Debug)]
struct Asked;

#[derive(Deserialize)]
struct Nothing {}

impl Store for Asked {
    fn tables(&self) -> Tables {
        Tables::new().with(&NOTHING)
    }

    fn views(&self) -> Vec<View> {
        vec![
            View::scalar("mine", |_: Nothing, view| {
                Ok(view.session().map(|session| session.as_str().to_owned()))
            }),
            View::scalar("ours", |_: Nothing, _| Ok("everybody's")).scope(Scope::Global),
        ]
    }

    fn load(&self, _: &mut Transaction<'_>) -> Result<(), BoxError> {
        Ok(())
    }
}

async fn start() -> Slither {
    Slither::builder().pool(pool(2)).store(Asked).start().await.unwrap()
}

async fn ask(session: &Session, pipe: &Pipe<String, Option<String>>) -> Vec<Option<String>> {
    let outputs = session.run_pipe(pipe, ["mine".to_owned(), "ours".to_owned()]).await.unwrap();
    outputs.payloads("default").into_iter().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn views_of_a_session_see_whose_they_are_and_global_ones_serve_all() {
    within(async {
        let slither = start().await;
        let (first, second) = (slither.open_session("default").await, slither.open_session("default").await);
        let pipe = |scope| {
            let defaults = Defaults::default().view_scope(scope);
            Pipe::builder("ask").defaults(defaults).python("ask", keep("ask")).build().unwrap()
        };
        for session in [first.unwrap(), second.unwrap()] {
            let id = Some(session.id().to_string());
            let ours = Some("everybody's".to_owned());
            assert_eq!(ask(&session, &pipe(Scope::Session)).await, [id, ours.clone()]);
            let denied = Some("ViewFailed".to_owned());
            assert_eq!(ask(&session, &pipe(Scope::Global)).await, [denied, ours], "as the pipe says");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runs_own_session_scopes_its_views_and_pins_nothing() {
    within(async {
        let slither = start().await;
        let done = slither.dispatch::<String, String>(["mine".to_owned()], keep("ask")).await.unwrap();
        assert!(done.into_payloads()[0].starts_with("s-"));
        let state = async || {
            let done = slither.dispatch::<u64, String>([1], keep("state")).await.unwrap();
            done.into_payloads().remove(0)
        };
        assert_eq!(state().await, "NotInSession");
        let session = slither.open_session("default").await.unwrap();
        assert_eq!(state().await, "NotInSession", "also in the worker that has one");
        let pipe: Pipe<u64, String> = Pipe::builder("state")
            .defaults(Defaults::default().view_scope(Scope::Global))
            .python("state", keep("state"))
            .build()
            .unwrap();
        let outputs = session.run_pipe(&pipe, [1u64, 2]).await.unwrap();
        assert_eq!(outputs.payloads("default"), [session.id().as_str(); 2], "Python finds its state");
        let pids: Pipe<u64, u32> = Pipe::builder("pids")
            .python("pids", crate::support::behave("pids").batch_size(1))
            .build()
            .unwrap();
        let source = futures_util::stream::iter((0u64..50).map(Ok::<_, String>));
        let stream = session.stream_pipe(&pids, source, slither::RunOptions::new()).await.unwrap();
        let outputs = stream.into_outputs().await.unwrap();
        assert_eq!(outputs.payloads("default"), vec![&pid(&session); 50]);
    })
    .await;
}
