//! The decision itself: [`decide`], a pure function of the function's traits and the pools as they stand.

use std::cmp::Reverse;

use super::candidate::{Candidate, Profile};
use super::decision::{Decision, PassedOver};
use super::subject::Subject;
use super::traits::Work;
use super::verdict::Finding;
use crate::error::ConfigError;
use crate::python::{ThreadSafety, WithoutGil};

/// How well a pool suits: the place that it has, lower being better, and what speaks for it; or what rules it out.
type Fit = Result<(Place, String), String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Made for such calls.
    Made,
    /// It takes them, and nothing is gained.
    Takes,
    /// It takes them, and something is lost.
    Bears,
}

/// Chooses the pool for a function; the order of the pools makes no difference.
///
/// A pool that fails calls at present is taken only where no other may run the function.
///
/// # Errors
/// If none of the pools may run it, with the reason for each.
pub fn decide(subject: &Subject, pools: &[Candidate]) -> Result<Decision, ConfigError> {
    let need = Need::of(subject);
    let mut fits: Vec<(&Candidate, Fit)> = pools.iter().map(|pool| (pool, need.fit(subject, pool))).collect();
    fits.sort_by_key(|(pool, fit)| {
        let place = fit.as_ref().ok().map(|(place, _)| *place);
        (place.is_none(), pool.failing, place, Reverse(pool.slots), pool.pool.clone())
    });
    let Some((chosen, Ok((_, praise)))) = fits.first() else { return Err(refuse(subject, &fits)) };
    let reason = match (chosen.profile, &need) {
        // What keeps it from threads is what a person wants to know.
        (Profile::Processes, Need::Together(_)) => kept_from_threads(&fits).unwrap_or_else(|| praise.clone()),
        _ => praise.clone(),
    };
    let mut passed_over = Vec::with_capacity(fits.len() - 1);
    for (pool, fit) in &fits[1..] {
        let why_not = match fit {
            Ok(_) if pool.failing => "it fails calls at present".to_owned(),
            Ok((_, praise)) => format!("it would do as well: {praise}"),
            Err(objection) => objection.clone(),
        };
        let possible = fit.is_ok();
        passed_over.push(PassedOver { pool: pool.pool.clone(), profile: pool.profile, possible, why_not });
    }
    Ok(Decision {
        function: subject.function.clone(),
        pool: chosen.pool.clone(),
        profile: chosen.profile,
        slots: chosen.slots,
        reason,
        passed_over,
    })
}

/// What the best of the other pools is not taken for.
fn kept_from_threads(fits: &[(&Candidate, Fit)]) -> Option<String> {
    let others = || fits.iter().filter(|(pool, _)| pool.profile != Profile::Processes);
    let text = |(pool, fit): &(&Candidate, Fit)| match fit {
        Ok(_) if pool.failing => format!("not to `{}`, which fails calls at present", pool.pool),
        Ok((_, text)) | Err(text) => format!("not to {}, because {text}", named(pool)),
    };
    let threads = others().filter(|(pool, _)| pool.profile == Profile::Threads);
    let threads = threads.max_by_key(|(pool, _)| (!pool.gil.on, pool.slots, Reverse(&pool.pool)));
    threads.or_else(|| others().next()).map(text)
}

/// A pool with its profile, which is said once where it is the name as well.
fn named(pool: &Candidate) -> String {
    let profile = pool.profile.to_string();
    match *pool.pool == *profile {
        true => profile,
        false => format!("`{}` ({profile})", pool.pool),
    }
}

fn refuse(subject: &Subject, fits: &[(&Candidate, Fit)]) -> ConfigError {
    let function = &subject.function;
    if fits.is_empty() {
        return ConfigError::new(format!("there is no pool for `{function}` to go to"))
            .hint("give the builder a pool");
    }
    let mut message = format!("no pool may run `{function}` unless the call names it");
    for (pool, fit) in fits {
        if let Err(objection) = fit {
            message += &format!("\n  not `{}` ({}): {objection}", pool.pool, pool.profile);
        }
    }
    ConfigError::new(message).hint("add a pool with `Pool::processes`, or name the pool in the call")
}

/// What a function needs of a pool.
enum Need {
    /// No other call in its process; why.
    Alone(String),
    /// Several at once are welcome; what its calls do.
    Together(Work),
}

impl Need {
    fn of(subject: &Subject) -> Self {
        let traits = subject.traits;
        if traits.unsafe_native {
            return Self::Alone("its native code may crash, and then costs no other call".into());
        }
        if traits.stateful {
            return Self::Alone("it keeps state in its process, and calls there run one at a time".into());
        }
        for verdict in &subject.verdicts {
            match &verdict.finding {
                Finding::Race(what) => {
                    return Self::Alone(format!(
                        "`slither probe` saw calls at once spoil its results: {what}"
                    ));
                }
                Finding::Stateful(what) => {
                    return Self::Alone(format!(
                        "`slither probe` saw its results depend on earlier calls: {what}"
                    ));
                }
                Finding::Same | Finding::Unrepeatable(_) => {}
            }
        }
        // Coroutines share one thread.
        if !subject.is_async {
            if traits.thread_safe == Some(false) {
                return Self::Alone("it is declared as not safe in threads".into());
            }
            if let (Some(why), None) = (spoiler(subject), traits.thread_safe) {
                return Self::Alone(why);
            }
        }
        let measured = subject.verdicts.iter().map(|verdict| verdict.work).next();
        // To take computing for waiting costs more than the other way round.
        Self::Together(traits.work.or(measured).unwrap_or(Work::Cpu))
    }

    fn fit(&self, subject: &Subject, pool: &Candidate) -> Fit {
        match (pool.profile, self) {
            (Profile::Processes, Self::Alone(why)) => Ok((Place::Made, why.clone())),
            (Profile::Processes, Self::Together(_)) => {
                Ok((Place::Takes, "each of its processes runs one call at a time".into()))
            }
            (Profile::Threads, _) => self.fit_threads(subject, pool),
            (Profile::Async, Self::Alone(why)) => Err(format!("several calls share its process, but {why}")),
            (Profile::Async, Self::Together(_)) if !subject.is_async => {
                Err("it runs coroutines together, and this is none".into())
            }
            (Profile::Async, Self::Together(_)) if subject.traits.work == Some(Work::Cpu) => {
                Ok((Place::Bears, "a coroutine that computes holds up the others".into()))
            }
            (Profile::Async, Self::Together(_)) => {
                Ok((Place::Made, "it is an `async def`, whose calls wait together".into()))
            }
        }
    }

    fn fit_threads(&self, subject: &Subject, pool: &Candidate) -> Fit {
        for library in &subject.libraries {
            match library.without_gil {
                WithoutGil::TurnsOn if !pool.gil.on => {
                    return Err(format!("importing {} would turn its GIL on", library.name));
                }
                WithoutGil::NoWheel if pool.gil.free_threaded_build => {
                    return Err(format!("there is no build of {} for its Python", library.name));
                }
                _ => {}
            }
        }
        let work = match self {
            Self::Alone(why) if pool.overlaps() => {
                return Err(format!("several calls run at once in one of its processes, but {why}"));
            }
            Self::Alone(_) => {
                return Ok((Place::Takes, "each of its workers runs one call at a time".into()));
            }
            Self::Together(work) => *work,
        };
        if !pool.overlaps() {
            return match work {
                Work::Cpu if pool.at_once > 1 => Err(computes_behind(pool)),
                Work::Io if pool.at_once > 1 => Ok((Place::Bears, one_each(pool))),
                _ => Ok((Place::Bears, "each of its workers runs one call at a time".into())),
            };
        }
        let safe = safe(subject, pool)?;
        match work {
            Work::Io if pool.slots <= pool.workers => Err(one_each(pool)),
            Work::Io if subject.is_async => Ok((Place::Takes, format!("it waits, and {safe}"))),
            Work::Io => Ok((Place::Made, format!("it waits more than it computes, and {safe}"))),
            Work::Cpu if !pool.computes_in_parallel() => Err(computes_behind(pool)),
            Work::Cpu => match slower(subject) {
                Some(why) => Ok((Place::Bears, why)),
                None => Ok((Place::Made, format!("it computes, {safe}, and the GIL of the pool is off"))),
            },
        }
    }
}

fn one_each(pool: &Candidate) -> String {
    format!("it takes one call a worker: {}", pool.gil)
}

fn computes_behind(pool: &Candidate) -> String {
    format!("{}, behind which its threads would compute one at a time", pool.gil)
}

/// A library that is not safe in threads.
fn spoiler(subject: &Subject) -> Option<String> {
    let library = subject.libraries.iter().find(|it| it.thread_safety == ThreadSafety::Unsafe)?;
    Some(format!("it imports {}, which is not safe in threads", library.name))
}

/// Who says that threads of this pool may run it together; or that nobody does.
fn safe(subject: &Subject, pool: &Candidate) -> Result<String, String> {
    match subject.traits.thread_safe {
        Some(true) => return Ok("it is declared as safe in threads".into()),
        Some(false) => return Err("it is declared as not safe in threads".into()),
        None => {}
    }
    if let Some(library) = spoiler(subject) {
        return Err(library);
    }
    // Where threads took turns nothing is known of threads that do not.
    let without_gil = !pool.gil.on;
    let tried = subject.verdicts.iter().filter(|verdict| verdict.finding == Finding::Same);
    match tried.into_iter().find(|verdict| verdict.without_gil || !without_gil) {
        Some(_) => Ok("`slither probe` found no difference between threads".into()),
        None => Err("nothing says that it is safe in threads".into()),
    }
}

/// That it was measured without a GIL, and is better off in processes.
fn slower(subject: &Subject) -> Option<String> {
    let verdict = subject.verdicts.iter().find(|verdict| verdict.without_gil)?;
    let reason = verdict.because.first().map_or("it was faster there", String::as_str);
    (verdict.profile == Profile::Processes)
        .then(|| format!("`slither probe` recommends processes for it: {reason}"))
}

#[cfg(test)]
mod tests;
