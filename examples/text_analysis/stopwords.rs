//! The words that carry no meaning of their own, as a store: Rust stages read it, Python asks it by a view.

use serde::Deserialize;
use slither::store::{BoxError, Store, Table, Tables, Transaction, View, ViewError};

const WORDS: Table<String, ()> = Table::set("words");

/// The stopwords, one version at a time.
#[derive(Debug)]
pub(super) struct StopwordStore;

/// The words of the list that ships with the example.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    include_str!("stopwords.txt").lines().map(str::trim).filter(|word| !word.is_empty())
}

#[derive(Deserialize)]
struct Asked {
    version: u64,
}

impl Store for StopwordStore {
    fn tables(&self) -> Tables {
        Tables::new().with(&WORDS)
    }

    fn views(&self) -> Vec<View> {
        vec![View::scalar("stopwords", |asked: Asked, view| {
            let snapshot = view.snapshot();
            if snapshot.version() != asked.version {
                let (now, then) = (snapshot.version(), asked.version);
                return Err(ViewError::new(format!(
                    "version {then} of the stopwords is gone, {now} is current"
                )));
            }
            Ok(snapshot.fold(&WORDS, Vec::new(), |mut words: Vec<String>, word, ()| {
                words.push(word.clone());
                words
            }))
        })]
    }

    fn load(&self, tx: &mut Transaction<'_>) -> Result<(), BoxError> {
        tx.bulk_insert(&WORDS, words().map(|word| (word.to_owned(), ())))?;
        Ok(())
    }
}
