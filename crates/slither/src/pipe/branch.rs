//! Routers in the middle of a pipe: [`Branches`], each a list of stages of its own.

use std::fmt;
use std::sync::Arc;

use super::builder::{Connect, PipeBuilder};
use super::draft::{Draft, DraftKind, Type};
use super::fork;
use super::launch::{Binder, Launch};
use super::outlet::Outlet;
use super::router::{DEFAULT_OUTPUT, Router, Rules};
use crate::error::ConfigError;

/// The stages of a [`PipeBuilder`] are those of one branch.
#[derive(Debug)]
pub enum InBranch {}

/// One branch of a router, being written; has the stages of a [`PipeBuilder`], and ends of its own.
///
/// Returned as it is, its items join those of the other branches behind the router.
/// [`emit`](PipeBuilder::emit) and [`route`](PipeBuilder::route) end it at outputs instead.
pub type BranchBuilder<In, Cur> = PipeBuilder<In, Cur, InBranch>;

/// The branches of a router, being written; made by [`PipeBuilder::branch`].
///
/// An item of type `Cur` takes the first branch whose predicate holds. Those that join hand on `Next`.
#[must_use = "branches are handed back to `branch`"]
pub struct Branches<Cur, Next> {
    router: usize,
    draft: Draft,
    binders: Vec<Binder>,
    rules: Rules<Cur>,
    names: Vec<Arc<str>>,
    ways: Vec<Connect<Cur, Next>>,
    rest: Option<Connect<Cur, Next>>,
    joining: Vec<usize>,
}

impl<Cur: Send + 'static, Next: Send + 'static> Branches<Cur, Next> {
    /// Items for which `predicate` holds, and none before it, take this branch. A predicate that panics is a
    /// failure of its item, and meets the policy of the router.
    pub fn when<End: BranchEnd<Cur, Next>>(
        mut self,
        name: impl Into<Arc<str>>,
        predicate: impl Fn(&Cur) -> bool + Send + Sync + 'static,
        branch: impl FnOnce(BranchBuilder<Cur, Cur>) -> End,
    ) -> Self {
        let name = name.into();
        if name.is_empty() || self.names.contains(&name) {
            let router = self.draft.name_of(self.router);
            self.draft.mistaken(match &*name {
                "" => ConfigError::new(format!("the name of a branch of router `{router}` is empty")),
                name => ConfigError::new(format!("two branches of router `{router}` are called `{name}`")),
            });
        }
        self.names.push(name.clone());
        self.rules.push(predicate);
        let way = self.way(name, branch);
        self.ways.push(way);
        self
    }

    /// What no predicate holds for takes this branch, instead of leaving by `default`.
    pub fn otherwise<End: BranchEnd<Cur, Next>>(
        mut self,
        branch: impl FnOnce(BranchBuilder<Cur, Cur>) -> End,
    ) -> Self {
        if self.rest.is_some() {
            let router = self.draft.name_of(self.router);
            self.draft.mistaken(ConfigError::new(format!("router `{router}` has two `otherwise`")));
        }
        self.rest = Some(self.way("otherwise".into(), branch));
        self
    }

    fn way<End: BranchEnd<Cur, Next>>(
        &mut self,
        name: Arc<str>,
        branch: impl FnOnce(BranchBuilder<Cur, Cur>) -> End,
    ) -> Connect<Cur, Next> {
        let first = self.draft.len();
        let mut draft = std::mem::take(&mut self.draft);
        draft.begin_way(self.router);
        let Ended { mut draft, binders, connect, output } =
            branch(PipeBuilder::begin(draft, std::mem::take(&mut self.binders))).ended();
        if let Some((output, payload)) = &output {
            let from = format!("branch `{name}` of router `{}`", draft.name_of(self.router));
            draft.exit(from, output.clone(), *payload);
        }
        let joining = draft.end_way(self.router, name, first, output.map(|(output, _)| output));
        self.joining.extend(joining);
        (self.draft, self.binders) = (draft, binders);
        connect
    }
}

impl<In: Send + 'static, Cur: Send + 'static, Part> PipeBuilder<In, Cur, Part> {
    /// Sends each item into one of several branches, each a list of stages of its own.
    ///
    /// The first branch whose predicate holds takes the item; what none takes goes to
    /// [`otherwise`](Branches::otherwise) or, without one, leaves by `default`. A branch that is returned as it
    /// is joins: its items go on to the stage behind this one. All that join hand on the same type, which the
    /// compiler checks; all that leave carry the type of the pipe's outputs, which
    /// [`build`](PipeBuilder::build) checks.
    ///
    /// ```
    /// use slither::Context;
    /// use slither::pipe::{Pipe, RunOptions, run_pipe};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pipe = Pipe::builder("numbers")
    ///     .branch("parity", |branches| branches
    ///         .when("zero", |n: &u64| *n == 0, |zero| {
    ///             zero.map("name it", |_, _: &Context| "nothing".to_owned()).emit("rejects")
    ///         })
    ///         .when("even", |n: &u64| n.is_multiple_of(2), |even| {
    ///             even.map("halve", |n: u64, _: &Context| format!("2 x {}", n / 2))
    ///         })
    ///         .otherwise(|odd| odd.map("show", |n: u64, _: &Context| n.to_string())))
    ///     .map("shout", |text: String, _: &Context| text + "!")
    ///     .build()
    ///     .unwrap();
    /// let outputs = run_pipe(&pipe, 0u64..4, RunOptions::new()).await.unwrap();
    /// let mut joined = outputs.payloads("default");
    /// joined.sort();
    /// assert_eq!(joined, ["1!", "2 x 1!", "3!"]);
    /// assert_eq!(outputs.payloads("rejects"), ["nothing"]);
    /// # }
    /// ```
    ///
    /// A branch that joins with another type does not compile:
    ///
    /// ```compile_fail,E0271
    /// use slither::Context;
    /// use slither::pipe::Pipe;
    ///
    /// let pipe = Pipe::builder("numbers")
    ///     .branch("parity", |branches| branches
    ///         .when("even", |n: &u64| n.is_multiple_of(2), |even| {
    ///             even.map("halve", |n: u64, _: &Context| n / 2)
    ///         })
    ///         .otherwise(|odd| odd.map("show", |n: u64, _: &Context| n.to_string())))
    ///     .build();
    /// ```
    ///
    /// # Order
    /// Items of one branch stay in the order in which they entered it. Where branches join, items of different
    /// branches come as they come: a join holds nothing back, so that a slow branch delays none of the others'
    /// items that are behind the router, and an empty one delays nothing.
    ///
    /// # Limits
    /// Each branch has channels as large as any other. The router waits while the channel that an item is to go
    /// into is full; then the other branches go on with what they have, and get nothing new.
    pub fn branch<Next: Send + 'static>(
        mut self,
        name: impl Into<Arc<str>>,
        branches: impl FnOnce(Branches<Cur, Next>) -> Branches<Cur, Next>,
    ) -> PipeBuilder<In, Next, Part> {
        let router = self.draft.stage(name.into(), DraftKind::Router { ways: Vec::new() });
        let written = branches(Branches {
            router,
            draft: std::mem::take(&mut self.draft),
            binders: std::mem::take(&mut self.binders),
            rules: Rules::new(),
            names: Vec::new(),
            ways: Vec::new(),
            rest: None,
            joining: Vec::new(),
        });
        let Branches { mut draft, binders, rules, mut ways, rest, joining, .. } = written;
        ways.push(rest.unwrap_or_else(|| {
            let from = format!("router `{}`, for what no branch takes,", draft.name_of(router));
            draft.exit(from, DEFAULT_OUTPUT.into(), Type::of::<Cur>());
            draft.end_way(router, "otherwise".into(), draft.len(), Some(DEFAULT_OUTPUT.into()));
            leaving(DEFAULT_OUTPUT.into())
        }));
        draft.join(router, joining);
        (self.draft, self.binders) = (draft, binders);
        let rules = Arc::new(rules);
        self.then(move |launch, outlet: Outlet<Next>| {
            let ways = ways.iter().map(|way| way(launch, outlet.clone())).collect();
            let (way, inlet) = launch.channel();
            launch.spawn(router, fork::run(launch.stage(router), rules.clone(), inlet, ways));
            way
        })
    }
}

/// A way to an output that asks for no place where branches join.
fn leaving<Cur: Send + 'static, Next>(output: Arc<str>) -> Connect<Cur, Next> {
    Box::new(move |launch: &mut Launch, _: Outlet<Next>| launch.output(&output))
}

impl<In: Send + 'static, Cur: Send + 'static> BranchBuilder<In, Cur> {
    /// Ends the branch at an output of the pipe: its items leave by it.
    ///
    /// The output is declared by the pipe, if it declares any, and carries the type of this branch's end.
    pub fn emit(self, output: impl Into<Arc<str>>) -> Leaving<In> {
        let output = output.into();
        let (before, by) = (self.connect, output.clone());
        let connect = Box::new(move |launch: &mut Launch| {
            let outlet = launch.output(&by);
            before(launch, outlet)
        });
        let output = Some((output, Type::of::<Cur>()));
        Leaving { draft: self.draft, binders: self.binders, connect, output }
    }

    /// Ends the branch at the outputs that a router chooses.
    pub fn route(self, name: impl Into<Arc<str>>, router: Router<Cur>) -> Leaving<In> {
        let Self { draft, binders, connect: before, .. } = self.end_in_outputs(name.into(), router);
        // What stands behind the router is never sent to; it only has to have the type.
        let connect = Box::new(move |launch: &mut Launch| {
            let outlet = launch.output(DEFAULT_OUTPUT);
            before(launch, outlet)
        });
        Leaving { draft, binders, connect, output: None }
    }
}

/// A branch that ends at outputs; takes `In`.
#[must_use = "it is returned to `when` or `otherwise`"]
pub struct Leaving<In> {
    draft: Draft,
    binders: Vec<Binder>,
    connect: Box<StartAll<In>>,
    output: Option<(Arc<str>, Type)>,
}

/// Starts the stages of a branch that ends at outputs; returns the way to the first.
type StartAll<In> = dyn Fn(&mut Launch) -> Outlet<In> + Send + Sync;

/// How a branch may end: as a [`BranchBuilder`] it joins the others with its last type, as a [`Leaving`] it does
/// not. Nothing else does.
pub trait BranchEnd<In, Next>: sealed::Ends<In, Next> {}

impl<In, Next, End: sealed::Ends<In, Next>> BranchEnd<In, Next> for End {}

/// A branch as it was written.
pub struct Ended<In, Next> {
    draft: Draft,
    binders: Vec<Binder>,
    connect: Connect<In, Next>,
    output: Option<(Arc<str>, Type)>,
}

mod sealed {
    //! Keeps [`BranchEnd`](super::BranchEnd) to the two of this module.

    /// Takes a branch apart.
    pub trait Ends<In, Next> {
        /// Its draft, and what starts it.
        fn ended(self) -> super::Ended<In, Next>;
    }
}

impl<In, Next> sealed::Ends<In, Next> for BranchBuilder<In, Next> {
    fn ended(self) -> Ended<In, Next> {
        let Self { draft, binders, connect, .. } = self;
        Ended { draft, binders, connect, output: None }
    }
}

impl<In: 'static, Next> sealed::Ends<In, Next> for Leaving<In> {
    fn ended(self) -> Ended<In, Next> {
        let Self { draft, binders, connect, output } = self;
        Ended { draft, binders, connect: Box::new(move |launch, _| connect(launch)), output }
    }
}

impl<Cur, Next> fmt::Debug for Branches<Cur, Next> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Branches").field("names", &self.names).finish_non_exhaustive()
    }
}

impl<In, Next> fmt::Debug for Ended<In, Next> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ended").field("output", &self.output).finish_non_exhaustive()
    }
}

impl<In> fmt::Debug for Leaving<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaving").field("output", &self.output).finish_non_exhaustive()
    }
}
