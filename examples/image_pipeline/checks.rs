//! The checks: what the run is to have proven. Nothing here looks at how the evidence came about, only at
//! whether it agrees.

use std::collections::HashSet;

use serde_json::json;

use super::evidence::{Evidence, Later, Made};
use super::flow::{IN_FLIGHT, MAX_WEIGHT, WorkerStats};
use super::summary::megabytes;
use crate::report::Check;

/// No thumbnail is wider or higher; `image_processor.py` says the same.
const THUMBNAIL: u32 = 256;
/// So few batches need not reach a second worker.
const FEW_BATCHES: usize = 4;
/// Where all pictures together are not so many times the heaviest batch, there is little to save.
const WORTH_COMPARING: u64 = 3;

/// What was to be proven, in the order in which it is shown.
pub(super) fn checks(workers: usize, evidence: &Evidence) -> Vec<Check> {
    let mut checks = vec![
        pictures_accounted(evidence),
        thumbnails_written(evidence),
        batches_within_weight(evidence),
        in_flight_bounded(evidence),
        peak_within_bound(evidence),
    ];
    checks.extend(against_at_once(evidence));
    checks.extend(contact_sheet(evidence));
    checks.extend([
        worker_counts_sum(evidence),
        Check::equal("ledger_balanced", true, evidence.ledger.balanced()),
        workers_distinct(workers, evidence),
    ]);
    checks
}

/// Each picture has a thumbnail, once, or is among the failures.
fn pictures_accounted(evidence: &Evidence) -> Check {
    let expected = if evidence.stopped { evidence.ledger.pulled } else { evidence.pictures };
    let accounted =
        evidence.thumbnails().count() as u64 + evidence.failures.count + evidence.ledger.cancelled;
    let twice = evidence.twice;
    Check {
        name: "pictures_accounted",
        expected: expected.into(),
        actual: if twice == 0 { accounted.into() } else { json!({ "pictures": accounted, "twice": twice }) },
        ok: accounted == expected && twice == 0,
    }
}

/// Each thumbnail's file is a PNG of the size that fits its picture, upright or turned.
fn thumbnails_written(evidence: &Evidence) -> Check {
    let fits = |made: &&Made| {
        let picture = &made.thumbnail.picture;
        let (width, height) = fitting(picture.width, picture.height);
        made.file.is_some_and(|file| file == (width, height) || file == (height, width))
    };
    let made = evidence.made.iter().flatten();
    Check::equal("thumbnails_written", made.clone().count(), made.filter(fits).count())
}

/// The size of the thumbnail of a picture.
fn fitting(width: u32, height: u32) -> (u32, u32) {
    let scale = |edge: u32| f64::from(THUMBNAIL) / f64::from(edge);
    let scale = scale(width).min(scale(height)).min(1.0);
    let scaled = |edge: u32| ((f64::from(edge) * scale).round_ties_even() as u32).max(1);
    (scaled(width), scaled(height))
}

fn batches_within_weight(evidence: &Evidence) -> Check {
    let batches = evidence.batches();
    let heavy = batches.values().filter(|batch| {
        batch.len() > 1 && batch.iter().map(|thumbnail| thumbnail.picture.pixels()).sum::<u64>() > MAX_WEIGHT
    });
    let heavy = heavy.count();
    Check {
        name: "batches_within_weight",
        expected: json!({ "too heavy": 0 }),
        actual: json!({ "too heavy": heavy, "batches": batches.len() }),
        ok: heavy == 0 && !batches.is_empty(),
    }
}

fn in_flight_bounded(evidence: &Evidence) -> Check {
    let most = evidence.most_in_flight();
    Check {
        name: "in_flight_bounded",
        expected: format!("1 to {IN_FLIGHT}").into(),
        actual: most.into(),
        ok: (1..=IN_FLIGHT).contains(&most),
    }
}

fn peak_within_bound(evidence: &Evidence) -> Check {
    let (peak, bound) = (evidence.peak(), evidence.bound());
    Check {
        name: "peak_within_bound",
        expected: format!("at most {} a worker", megabytes(bound)).into(),
        actual: megabytes(peak).into(),
        ok: peak <= bound && !evidence.accounts.is_empty(),
    }
}

/// The same pictures all at once take more, and the same thumbnails come of it.
fn against_at_once(evidence: &Evidence) -> Vec<Check> {
    let at_once = match &evidence.at_once {
        Later::Left => return Vec::new(),
        Later::Failed(reason) => {
            let failed = Check::equal("thumbnails_equal", "compared", reason.as_str());
            return vec![failed];
        }
        Later::Done(at_once) => at_once,
    };
    let mut checks = vec![Check {
        name: "thumbnails_equal",
        expected: json!({ "different": 0 }),
        actual: json!({ "different": at_once.different, "compared": at_once.pictures }),
        ok: at_once.different == 0 && at_once.pictures > 0,
    }];
    let largest = evidence.thumbnails().map(|thumbnail| thumbnail.picture.pixels()).max().unwrap_or_default();
    if at_once.pixels >= WORTH_COMPARING * largest.max(MAX_WEIGHT) {
        let (bounded, unlimited) = (evidence.peak_of_all(), at_once.stats.growth());
        checks.push(Check {
            name: "backpressure_saves",
            expected: format!("less than the {} of all at once", megabytes(unlimited)).into(),
            actual: format!("{} in all workers", megabytes(bounded)).into(),
            ok: bounded < unlimited,
        });
    }
    checks
}

fn contact_sheet(evidence: &Evidence) -> Option<Check> {
    let tiles = evidence.thumbnails().count().min(super::TILES) as u64;
    let check = |actual, ok| Check {
        name: "contact_sheet",
        expected: json!({ "tiles": tiles, "written": true }),
        actual,
        ok,
    };
    match &evidence.sheet {
        Later::Left => None,
        Later::Failed(reason) => Some(check(reason.as_str().into(), false)),
        Later::Done((sheet, file)) => {
            let written = *file == Some((sheet.width, sheet.height));
            Some(check(json!({ "tiles": sheet.tiles, "written": written }), written && sheet.tiles == tiles))
        }
    }
}

/// The workers' own counts add up to the thumbnails that came back from them.
fn worker_counts_sum(evidence: &Evidence) -> Check {
    let answered: HashSet<u32> = evidence.accounts.iter().map(|account| account.pid).collect();
    let lost: HashSet<u32> = evidence.lost.iter().map(|lost| lost.pid).collect();
    // What a dead worker counted is lost, and reported as such; one that is alive has to answer.
    let theirs = |pid: u32| answered.contains(&pid) || !lost.contains(&pid);
    let theirs: Vec<_> = evidence.thumbnails().filter(|thumbnail| theirs(thumbnail.pid)).collect();
    let pixels: u64 = theirs.iter().map(|thumbnail| thumbnail.picture.pixels()).sum();
    let sum = |of: fn(&WorkerStats) -> u64| evidence.accounts.iter().map(of).sum::<u64>();
    let expected = json!({ "images": theirs.len(), "pixels": pixels });
    Check::equal(
        "worker_counts_sum",
        expected,
        json!({ "images": sum(|account| account.images), "pixels": sum(|account| account.pixels) }),
    )
}

fn workers_distinct(workers: usize, evidence: &Evidence) -> Check {
    let pids: HashSet<u32> = evidence.thumbnails().map(|thumbnail| thumbnail.pid).collect();
    // One quick worker may well be done with a few small batches before the next has looked up.
    let least = match evidence.batches().len() {
        0 => 0,
        1..=FEW_BATCHES => 1,
        _ => 2.min(workers as u64),
    };
    Check::at_least("workers_distinct", least, pids.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_pipeline::evidence::AtOnce;
    use crate::image_pipeline::flow::{Picture, Sheet, Thumbnail};
    use slither::LostWorker;

    const MB: u64 = 1 << 20;

    /// Eight pictures in six batches: the first two batches hold two each; workers 7 and 8 by turns.
    fn sound() -> Evidence {
        let batches = [(7, 1), (7, 1), (8, 1), (8, 1), (7, 2), (8, 2), (7, 3), (8, 3)];
        let mut evidence = Evidence::new(batches.len() as u64);
        for (number, (pid, batch)) in batches.into_iter().enumerate() {
            let (width, height) = if number < 4 { (1000, 500) } else { (2000, 1500) };
            let picture = Picture {
                name: format!("{number}.jpg"),
                path: String::new(),
                thumbnail: String::new(),
                width,
                height,
                format: "JPEG".to_owned(),
                pixel_bytes: 4,
            };
            let size = fitting(width, height);
            let thumbnail = Thumbnail {
                picture,
                width: size.0,
                height: size.1,
                bytes: 1,
                sha256: String::new(),
                pid,
                batch,
                began_ns: batch * 100,
                ended_ns: batch * 100 + 90,
            };
            evidence.made[number] = Some(Made { thumbnail, file: Some(size) });
        }
        let account = |pid, peak: u64| WorkerStats {
            pid,
            batches: 3,
            images: 4,
            pixels: 7_000_000,
            baseline_bytes: 20 * MB,
            peak_bytes: (20 + peak) * MB,
        };
        evidence.accounts = vec![account(7, 15), account(8, 14)];
        evidence.at_once =
            Later::Done(AtOnce { pictures: 8, pixels: 14_000_000, stats: account(9, 60), different: 0 });
        evidence.sheet = Later::Done((Sheet { width: 9, height: 8, tiles: 8 }, Some((9, 8))));
        evidence.ledger.pulled = 8;
        evidence.ledger.emitted = 8;
        evidence
    }

    fn thumbnail(evidence: &mut Evidence, number: usize) -> &mut Thumbnail {
        &mut evidence.made[number].as_mut().unwrap().thumbnail
    }

    /// The checks that do not hold once the evidence is changed.
    fn broken_by(change: impl FnOnce(&mut Evidence)) -> Vec<&'static str> {
        let mut evidence = sound();
        change(&mut evidence);
        checks(2, &evidence).into_iter().filter(|check| !check.ok).map(|check| check.name).collect()
    }

    #[test]
    fn all_hold_on_a_sound_run() {
        assert_eq!(broken_by(|_| ()), [""; 0]);
        assert_eq!(checks(2, &sound()).len(), 11);
    }

    #[test]
    fn a_picture_that_got_lost_or_came_twice_is_noticed() {
        assert_eq!(broken_by(|evidence| evidence.made[0] = None)[0], "pictures_accounted");
        assert_eq!(broken_by(|evidence| evidence.twice = 1), ["pictures_accounted"]);
    }

    #[test]
    fn a_file_that_is_not_the_thumbnail_is_noticed() {
        let file = |file| move |evidence: &mut Evidence| evidence.made[2].as_mut().unwrap().file = file;
        assert_eq!(broken_by(file(None)), ["thumbnails_written"]);
        assert_eq!(broken_by(file(Some((256, 256)))), ["thumbnails_written"]);
        // Taken upright.
        assert_eq!(broken_by(file(Some((128, 256)))), [""; 0]);
    }

    #[test]
    fn a_batch_that_is_too_heavy_is_noticed() {
        // Two pictures of 3 MP together; one alone is as it must be.
        assert_eq!(broken_by(|evidence| thumbnail(evidence, 6).batch = 2), ["batches_within_weight"]);
    }

    #[test]
    fn a_third_batch_at_the_same_time_is_noticed() {
        let overlap = |evidence: &mut Evidence| thumbnail(evidence, 6).began_ns = 250;
        assert_eq!(broken_by(overlap), ["in_flight_bounded"]);
    }

    #[test]
    fn memory_beyond_the_bound_is_noticed() {
        let more = |evidence: &mut Evidence| evidence.accounts[0].peak_bytes += 20 * MB;
        assert_eq!(broken_by(more), ["peak_within_bound"]);
        let much_more = |evidence: &mut Evidence| evidence.accounts[0].peak_bytes += 60 * MB;
        assert_eq!(broken_by(much_more), ["peak_within_bound", "backpressure_saves"]);
    }

    #[test]
    fn the_comparison_can_fail() {
        fn at_once(evidence: &mut Evidence) -> &mut AtOnce {
            match &mut evidence.at_once {
                Later::Done(at_once) => at_once,
                _ => unreachable!("it was done"),
            }
        }
        assert_eq!(broken_by(|evidence| at_once(evidence).different = 1), ["thumbnails_equal"]);
        let little = |evidence: &mut Evidence| at_once(evidence).stats.peak_bytes = 25 * MB;
        assert_eq!(broken_by(little), ["backpressure_saves"]);
        let die = |evidence: &mut Evidence| evidence.at_once = Later::Failed("SIGKILL".to_owned());
        assert_eq!(broken_by(die), ["thumbnails_equal"]);
        // Where there is little to save nothing is claimed.
        let few = |evidence: &mut Evidence| {
            little(evidence);
            at_once(evidence).pixels = 8_000_000;
        };
        assert_eq!(broken_by(few), [""; 0]);
    }

    #[test]
    fn a_sheet_that_is_not_there_is_noticed() {
        let sheet = |tiles, file| {
            move |evidence: &mut Evidence| {
                evidence.sheet = Later::Done((Sheet { width: 9, height: 8, tiles }, file));
            }
        };
        assert_eq!(broken_by(sheet(7, Some((9, 8)))), ["contact_sheet"]);
        assert_eq!(broken_by(sheet(8, None)), ["contact_sheet"]);
    }

    #[test]
    fn counts_that_differ_and_a_single_process_are_noticed() {
        assert_eq!(broken_by(|evidence| evidence.accounts[0].images += 1), ["worker_counts_sum"]);
        assert_eq!(broken_by(|evidence| evidence.accounts[0].pixels -= 1), ["worker_counts_sum"]);
        assert_eq!(broken_by(|evidence| evidence.ledger.emitted -= 1), ["ledger_balanced"]);
        let one = |evidence: &mut Evidence| {
            for number in [2, 3, 5, 7] {
                let thumbnail = thumbnail(evidence, number);
                (thumbnail.pid, thumbnail.batch) = (7, thumbnail.batch + 10);
            }
            evidence.accounts.remove(1);
            evidence.accounts[0].images = 8;
            evidence.accounts[0].pixels = 14_000_000;
        };
        assert_eq!(broken_by(one), ["workers_distinct"]);
    }

    #[test]
    fn a_dead_worker_takes_only_its_own_counts_along() {
        let die = |evidence: &mut Evidence| {
            let pid = evidence.accounts.remove(1).pid;
            let reason = "SIGKILL".to_owned();
            evidence.lost.push(LostWorker { worker: "thumbnails/1".to_owned(), pid, reason });
        };
        assert_eq!(broken_by(die), [""; 0]);
    }

    #[test]
    fn a_stopped_run_answers_for_what_it_pulled() {
        let stop = |evidence: &mut Evidence| {
            evidence.stopped = true;
            evidence.pictures = 100;
            (evidence.at_once, evidence.sheet) = (Later::Left, Later::Left);
        };
        assert_eq!(broken_by(stop), [""; 0]);
    }
}
