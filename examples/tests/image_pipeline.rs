//! `image_pipeline` from end to end, as the command runs it. Pillow is installed if it is not there yet.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use slither_examples::{Report, Settings};
use support::{broken, run_until};

async fn example(input: Option<PathBuf>, output: Option<PathBuf>) -> Result<Report, String> {
    let settings = Settings { input, output, workers: Some(2), chaos: None };
    run_until("image_pipeline", settings, |_, _| false).await
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_thumbnails_are_made_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    let report = example(None, Some(output.clone())).await.unwrap();
    assert_eq!(broken(&report), [""; 0]);
    assert_eq!(report.exit, 0);
    assert!(report.checks.iter().any(|check| check.name == "backpressure_saves"));
    assert_eq!(names(&output).len(), 31);
    assert!(output.join("contact-sheet.png").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_picture_of_the_users_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    fs::create_dir(&input).unwrap();
    // Portable pixmaps are written without any library: a header, and three bytes a pixel.
    let picture = |width: usize, height: usize| {
        let header = format!("P6 {width} {height} 255\n").into_bytes();
        [header, [40, 120, 200].repeat(width * height)].concat()
    };
    for number in 0..4 {
        fs::write(input.join(format!("good{number}.ppm")), picture(300 + number, 200)).unwrap();
    }
    fs::write(input.join("cut.ppm"), &picture(300, 200)[..5000]).unwrap();
    fs::write(input.join("text.jpg"), "this is no picture").unwrap();

    let report = example(Some(input), Some(output.clone())).await.unwrap();
    assert_eq!(broken(&report), [""; 0]);
    assert_eq!(report.exit, 1, "two pictures failed that should not");
    assert_eq!((report.ledger.ledger.emitted, report.ledger.ledger.failed), (4, 2));
    let mut failed: Vec<_> = report.failures.iter().collect();
    failed.sort_by_key(|failure| failure.item);
    let failed: Vec<_> = failed
        .iter()
        .map(|failure| (failure.name.as_deref(), failure.stage.as_deref(), failure.kind))
        .collect();
    assert_eq!(
        failed,
        [(Some("cut.ppm"), Some("thumbnail"), "failed"), (Some("text.jpg"), Some("prepare"), "failed")]
    );
    let written = ["contact-sheet.png", "good0.png", "good1.png", "good2.png", "good3.png"];
    assert_eq!(names(&output), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let empty = example(Some(folder.path().to_owned()), None).await.unwrap_err();
    assert!(empty.starts_with("there is no picture in"), "{empty}");
    fs::write(folder.path().join("mine.txt"), "").unwrap();
    let full = example(None, Some(folder.path().to_owned())).await.unwrap_err();
    assert!(full.contains("is not empty"), "{full}");
    assert_eq!(names(folder.path()), ["mine.txt"]);
}

#[tokio::test]
async fn an_example_that_writes_nothing_refuses_an_output() {
    let settings = Settings { output: Some("out".into()), ..Settings::default() };
    let error = run_until("data_etl", settings, |_, _| false).await.unwrap_err();
    assert!(error.starts_with("the example `data_etl` writes no files"), "{error}");
    assert!(!Path::new("out").exists());
}
