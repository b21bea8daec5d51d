//! The decision, as a table of what it is for and as properties of any input.

use proptest::prelude::*;

use super::*;
use crate::python::{Gil, Library, Matrix};
use crate::routing::{Traits, Verdict};

fn subject(traits: &str) -> Subject {
    Subject {
        function: "m:f".into(),
        traits: traits.parse().unwrap(),
        is_async: false,
        libraries: Vec::new(),
        verdicts: Vec::new(),
    }
}

fn importing(traits: &str, library: &str) -> Subject {
    let library: Library = Matrix::builtin().get(library).unwrap().clone();
    Subject { libraries: vec![library], ..subject(traits) }
}

fn verdict(finding: Finding, without_gil: bool, profile: Profile) -> Verdict {
    Verdict {
        function: "m:f".into(),
        source: "1".into(),
        python: "/python".into(),
        version: "3.14.0".into(),
        without_gil,
        finding,
        work: Work::Cpu,
        profile,
        workers: 1,
        at_once: 2,
        because: vec!["threads wait for each other".into()],
        at: 0,
    }
}

fn tried(traits: &str, finding: Finding, without_gil: bool, profile: Profile) -> Subject {
    Subject { verdicts: vec![verdict(finding, without_gil, profile)], ..subject(traits) }
}

fn built() -> Gil {
    Gil::new(true, false, None)
}

fn off() -> Gil {
    Gil::new(false, true, None)
}

fn turned_on(by: Option<&str>) -> Gil {
    Gil::new(true, true, by.map(str::to_owned))
}

fn processes() -> Candidate {
    Candidate {
        pool: "processes".into(),
        profile: Profile::Processes,
        gil: built(),
        workers: 2,
        slots: 2,
        at_once: 1,
        io_bound: false,
        failing: false,
    }
}

fn threads(gil: Gil) -> Candidate {
    let slots = if gil == off() { 16 } else { 1 };
    Candidate {
        pool: "threads".into(),
        profile: Profile::Threads,
        gil,
        workers: 1,
        slots,
        at_once: 16,
        ..processes()
    }
}

fn waiting() -> Candidate {
    Candidate { pool: "waiting".into(), slots: 32, at_once: 32, io_bound: true, ..threads(built()) }
}

fn coroutines() -> Candidate {
    Candidate {
        pool: "coroutines".into(),
        profile: Profile::Async,
        slots: 50,
        at_once: 50,
        ..threads(built())
    }
}

fn chosen(subject: &Subject, pools: &[Candidate]) -> (String, String) {
    let decision = decide(subject, pools).unwrap();
    (decision.pool.to_string(), decision.reason)
}

#[test]
fn each_kind_of_function_has_its_place() {
    let free = [processes(), threads(off()), waiting(), coroutines()];
    let bound = [processes(), threads(built())];
    let turned = [processes(), threads(turned_on(Some("legacy")))];
    let coroutine = |traits: &str| Subject { is_async: true, ..subject(traits) };
    let race = || Finding::Race("two calls had one result".into());
    let cases = [
        (subject("cpu_bound,thread_safe"), &free[..], "threads", "it computes, it is declared as safe"),
        (subject("thread_safe"), &free, "threads", "it computes"),
        (subject("cpu_bound"), &free, "processes", "nothing says that it is safe in threads"),
        (subject(""), &free, "processes", "nothing says that it is safe in threads"),
        (subject("cpu_bound,thread_safe"), &bound, "processes", "this Python has a GIL, behind which"),
        (subject("cpu_bound,thread_safe"), &turned, "processes", "importing `legacy` turned the GIL on"),
        (subject("cpu_bound,thread_safe"), &[processes()], "processes", "one call at a time"),
        (subject("io_bound,thread_safe"), &free, "waiting", "it waits more than it computes"),
        (subject("io_bound,thread_safe"), &bound, "processes", "one call a worker: this Python has a GIL"),
        (subject("io_bound"), &free, "processes", "nothing says that it is safe in threads"),
        (subject("cpu_bound,not_thread_safe"), &free, "processes", "declared as not safe"),
        (subject("cpu_bound,thread_safe,stateful"), &free, "processes", "keeps state"),
        (subject("cpu_bound,thread_safe,unsafe_native"), &free, "processes", "native code"),
        (coroutine(""), &free, "coroutines", "`async def`"),
        (coroutine("cpu_bound"), &free, "processes", "nothing says"),
        (coroutine("stateful"), &free, "processes", "keeps state"),
        (coroutine("not_thread_safe"), &free, "coroutines", "`async def`"),
        (coroutine(""), &[processes()], "processes", "one call at a time"),
        (importing("cpu_bound", "pandas"), &free, "processes", "imports pandas, which is not safe"),
        (importing("cpu_bound,thread_safe", "pandas"), &free, "threads", "declared as safe"),
        (
            importing("cpu_bound,thread_safe", "lxml"),
            &free,
            "processes",
            "importing lxml would turn its GIL on",
        ),
        (importing("cpu_bound,thread_safe", "numpy"), &free, "threads", "declared as safe"),
        (tried("", Finding::Same, true, Profile::Threads), &free, "threads", "found no difference"),
        (tried("", Finding::Same, false, Profile::Processes), &free, "processes", "nothing says"),
        (tried("thread_safe", race(), true, Profile::Processes), &free, "processes", "spoil its results"),
        (
            tried("thread_safe", Finding::Same, true, Profile::Processes),
            &free,
            "processes",
            "recommends processes for it: threads wait for each other",
        ),
    ];
    for (subject, pools, pool, reason) in cases {
        let (got, why) = chosen(&subject, pools);
        assert_eq!(got, pool, "{subject:?}: {why}");
        assert!(why.contains(reason), "{subject:?}: {why}");
    }
}

#[test]
fn where_nothing_will_do_each_pool_is_named_with_its_reason() {
    let error = decide(&subject("cpu_bound"), &[threads(off()), coroutines()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no pool may run `m:f` unless the call names it\n  \
         not `coroutines` (async): it runs coroutines together, and this is none\n  \
         not `threads` (threads): nothing says that it is safe in threads\n  \
         hint: add a pool with `Pool::processes`, or name the pool in the call"
    );
    // Never on a GIL build, not even for want of another pool.
    assert!(decide(&subject("cpu_bound,thread_safe"), &[threads(built())]).is_err());
}

#[test]
fn a_decision_reads_as_a_story() {
    let decision = decide(&subject("cpu_bound,thread_safe"), &[processes(), threads(off())]).unwrap();
    assert_eq!(
        decision.to_string(),
        "m:f goes to pool `threads` (threads): it computes, it is declared as safe in threads, and the GIL of the \
         pool is off\n  not to `processes` (processes): it would do as well: each of its processes runs one call at a time"
    );
}

#[test]
fn a_pool_that_fails_calls_is_the_last_resort() {
    let failing = Candidate { failing: true, ..threads(off()) };
    let safe = subject("cpu_bound,thread_safe");
    let (pool, why) = chosen(&safe, &[processes(), failing.clone()]);
    assert_eq!(
        (pool.as_str(), why.as_str()),
        ("processes", "not to `threads`, which fails calls at present")
    );
    assert_eq!(chosen(&safe, &[failing]).0, "threads");
}

fn traits() -> impl Strategy<Value = Traits> {
    let work = prop_oneof![Just(None), Just(Some(Work::Cpu)), Just(Some(Work::Io))];
    (work, any::<Option<bool>>(), any::<bool>(), any::<bool>()).prop_map(
        |(work, thread_safe, stateful, unsafe_native)| Traits { work, thread_safe, stateful, unsafe_native },
    )
}

fn gil() -> impl Strategy<Value = Gil> {
    prop_oneof![Just(built()), Just(turned_on(None)), Just(turned_on(Some("x"))), Just(off())]
}

fn profile() -> impl Strategy<Value = Profile> {
    prop_oneof![Just(Profile::Processes), Just(Profile::Threads), Just(Profile::Async)]
}

fn candidate() -> impl Strategy<Value = Candidate> {
    (profile(), gil(), 0..4_usize, 1..5_usize, any::<bool>(), any::<bool>()).prop_map(
        |(profile, gil, workers, at_once, io_bound, failing)| {
            let at_once = if profile == Profile::Processes { 1 } else { at_once };
            let narrow = profile == Profile::Threads && gil != off() && !io_bound;
            let slots = workers * if narrow { 1 } else { at_once };
            Candidate { pool: "".into(), profile, gil, workers, slots, at_once, io_bound, failing }
        },
    )
}

fn pools() -> impl Strategy<Value = Vec<Candidate>> {
    prop::collection::vec(candidate(), 0..6).prop_map(|mut pools| {
        for (number, pool) in pools.iter_mut().enumerate() {
            pool.pool = format!("p{number}").into();
        }
        pools
    })
}

fn finding() -> impl Strategy<Value = Finding> {
    prop_oneof![
        Just(Finding::Same),
        Just(Finding::Race("x".into())),
        Just(Finding::Stateful("x".into())),
        Just(Finding::Unrepeatable("x".into())),
    ]
}

fn any_subject() -> impl Strategy<Value = Subject> {
    let verdicts = (finding(), any::<bool>(), profile())
        .prop_map(|(finding, without_gil, profile)| verdict(finding, without_gil, profile));
    let libraries = prop::sample::subsequence(Matrix::builtin().libraries().to_vec(), 0..3);
    (traits(), any::<bool>(), libraries, prop::collection::vec(verdicts, 0..3)).prop_map(
        |(traits, is_async, libraries, verdicts)| Subject {
            traits,
            is_async,
            libraries,
            verdicts,
            ..subject("")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_is_promised_holds_for_any_input(
        (subject, pools, shuffled) in (any_subject(), pools())
            .prop_flat_map(|(subject, pools)| (Just(subject), Just(pools.clone()), Just(pools).prop_shuffle()))
    ) {
        let decided = decide(&subject, &pools);
        prop_assert_eq!(&decided, &decide(&subject, &shuffled), "the order of the pools makes no difference");
        let Ok(decision) = decided else {
            let takes_all = |pool: &Candidate| pool.profile == Profile::Processes;
            prop_assert!(!pools.iter().any(takes_all), "a pool of processes takes whatever comes");
            return Ok(());
        };
        let pool = pools.iter().find(|pool| pool.pool == decision.pool).unwrap();
        let traits = subject.traits;
        let shared = pool.profile == Profile::Threads && pool.slots > pool.workers;
        let raced = |verdict: &Verdict| matches!(verdict.finding, Finding::Race(_) | Finding::Stateful(_));
        if traits.unsafe_native || traits.stateful || subject.verdicts.iter().any(raced) {
            prop_assert!(!pool.overlaps(), "{}", decision);
        }
        if shared {
            let same = |verdict: &Verdict| verdict.finding == Finding::Same;
            prop_assert!(traits.thread_safe != Some(false), "{}", decision);
            prop_assert!(traits.thread_safe == Some(true) || subject.verdicts.iter().any(same), "{}", decision);
        }
        if pool.profile == Profile::Threads && pool.gil == built() && pool.at_once > 1 {
            let waits = traits.work == Some(Work::Io) || traits.stateful || traits.unsafe_native;
            let alone = matches!(Need::of(&subject), Need::Alone(_));
            prop_assert!(waits || alone, "{}", decision);
        }
        let others: Vec<_> = decision.passed_over.iter().map(|other| other.pool.clone()).collect();
        prop_assert_eq!(others.len() + 1, pools.len());
        prop_assert!(!others.contains(&decision.pool));
        prop_assert!(!decision.reason.is_empty() && decision.passed_over.iter().all(|it| !it.why_not.is_empty()));
    }
}
