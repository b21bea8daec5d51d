//! Random operations on each kind of table, beside the same operations on the collections of std.

use std::collections::{BTreeMap, HashMap};

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Bag, OrderedSet, Store, StoreError, StoreHandle, Table, Tables};

const SET: Table<u8, u32> = Table::set("set");
const ORDERED: Table<u8, u32, OrderedSet> = Table::ordered_set("ordered");
const BAG: Table<u8, u32, Bag> = Table::bag("bag");

struct Kinds;

impl Store for Kinds {
    fn tables(&self) -> Tables {
        Tables::new().with(&SET).with(&ORDERED).with(&BAG)
    }
}

#[derive(Debug, Clone)]
enum Op {
    Put(u8, u32),
    Update(u8, u32),
    Delete(u8),
    Bulk(Vec<(u8, u32)>),
    Retain(u32),
    /// A write of these puts that is given up in the end.
    Abandon(Vec<(u8, u32)>),
    Reload,
}

fn op() -> impl Strategy<Value = Op> {
    let row = || (0..12u8, 0..1000u32);
    prop_oneof![
        4 => row().prop_map(|(key, value)| Op::Put(key, value)),
        2 => row().prop_map(|(key, value)| Op::Update(key, value)),
        3 => (0..12u8).prop_map(Op::Delete),
        2 => vec(row(), 0..6).prop_map(Op::Bulk),
        1 => (1..5u32).prop_map(Op::Retain),
        1 => vec(row(), 1..6).prop_map(Op::Abandon),
        1 => Just(Op::Reload),
    ]
}

fn abandon<K: 'static, T: super::Kind<K, u32>>(
    store: &StoreHandle<Kinds>,
    table: &Table<K, u32, T>,
    rows: Vec<(K, u32)>,
) {
    let given_up = store.write(|tx| -> Result<(), super::BoxError> {
        tx.bulk_insert(table, rows)?;
        Err("given up".into())
    });
    assert_eq!(given_up.unwrap_err().to_string(), "given up");
}

/// The tables with one value a key, beside a map of std.
macro_rules! one_value_a_key {
    ($name:ident, $table:expr, $map:ident) => {
        proptest! {
            #[test]
            fn $name(ops in vec(op(), 1..60)) {
                let store = StoreHandle::open(Kinds).unwrap();
                let mut model = $map::<u8, u32>::new();
                for op in ops {
                    let before = (store.snapshot(), model.clone());
                    match op {
                        Op::Put(key, value) => {
                            store.put(&$table, key, value).unwrap();
                            model.insert(key, value);
                        }
                        Op::Update(key, by) => {
                            store.update(&$table, key, |old| old.copied().unwrap_or(7) + by).unwrap();
                            *model.entry(key).or_insert(7) += by;
                        }
                        Op::Delete(key) => {
                            let removed = store.delete(&$table, &key).unwrap();
                            prop_assert_eq!(removed, usize::from(model.remove(&key).is_some()));
                        }
                        Op::Bulk(rows) => {
                            store.bulk_insert(&$table, rows.clone()).unwrap();
                            model.extend(rows);
                        }
                        Op::Retain(n) => {
                            let size = model.len();
                            model.retain(|_, value| *value % n == 0);
                            let removed = store.retain(&$table, |_, value| value % n == 0).unwrap();
                            prop_assert_eq!(removed, size - model.len());
                        }
                        Op::Abandon(rows) => abandon(&store, &$table, rows),
                        Op::Reload => {
                            store.reload().unwrap();
                            model.clear();
                        }
                    }
                    // The new version, and the one before, which must not have moved.
                    for (snapshot, model) in [(store.snapshot(), &model), (before.0, &before.1)] {
                        let rows: $map<u8, u32> = snapshot.iter(&$table).map(|(k, v)| (*k, *v)).collect();
                        prop_assert_eq!(&rows, model);
                        prop_assert_eq!(snapshot.size(&$table), model.len());
                        for key in 0..12 {
                            prop_assert_eq!(snapshot.get(&$table, &key), model.get(&key));
                        }
                        let even = snapshot.select(&$table, |_, value| value % 2 == 0).count();
                        prop_assert_eq!(even, model.values().filter(|value| *value % 2 == 0).count());
                        let sum = snapshot.fold(&$table, 0, |sum, _, value| sum + value);
                        prop_assert_eq!(sum, model.values().sum::<u32>());
                    }
                }
            }
        }
    };
}

one_value_a_key!(a_set_is_a_hash_map, SET, HashMap);
one_value_a_key!(an_ordered_set_is_a_tree_map, ORDERED, BTreeMap);

proptest! {
    #[test]
    fn a_range_is_that_of_a_tree_map(rows in vec((any::<u8>(), any::<u32>()), 0..80), a: u8, b: u8) {
        let store = StoreHandle::open(Kinds).unwrap();
        store.bulk_insert(&ORDERED, rows.clone()).unwrap();
        let model: BTreeMap<u8, u32> = rows.into_iter().collect();
        let (snapshot, low, high) = (store.snapshot(), a.min(b), a.max(b));
        let pair = |(key, value): (&u8, &u32)| (*key, *value);
        let found: Vec<_> = snapshot.range(&ORDERED, low..high).map(pair).collect();
        prop_assert_eq!(found, model.range(low..high).map(pair).collect::<Vec<_>>());
        let found: Vec<_> = snapshot.range(&ORDERED, ..=high).rev().map(pair).collect();
        prop_assert_eq!(found, model.range(..=high).rev().map(pair).collect::<Vec<_>>());
        let kept: Vec<_> = store.range(&ORDERED, low..).into_iter().map(|(key, value)| (key, *value)).collect();
        prop_assert_eq!(kept, model.range(low..).map(pair).collect::<Vec<_>>());
        if low < high {
            prop_assert_eq!(snapshot.range(&ORDERED, high..low).count(), 0);
        }
    }

    #[test]
    fn a_bag_is_a_hash_map_of_lists(ops in vec(op(), 1..60)) {
        let store = StoreHandle::open(Kinds).unwrap();
        let mut model = HashMap::<u8, Vec<u32>>::new();
        for op in ops {
            let before = (store.snapshot(), model.clone());
            match op {
                // A bag has no update; here it puts twice in one write.
                Op::Update(key, value) => {
                    store.write(|tx| -> Result<(), StoreError> {
                        tx.put(&BAG, key, value)?;
                        tx.put(&BAG, key, value + 1)
                    }).unwrap();
                    model.entry(key).or_default().extend([value, value + 1]);
                }
                Op::Put(key, value) => {
                    store.put(&BAG, key, value).unwrap();
                    model.entry(key).or_default().push(value);
                }
                Op::Delete(key) => {
                    let removed = store.delete(&BAG, &key).unwrap();
                    prop_assert_eq!(removed, model.remove(&key).map_or(0, |values| values.len()));
                }
                Op::Bulk(rows) => {
                    store.bulk_insert(&BAG, rows.clone()).unwrap();
                    for (key, value) in rows {
                        model.entry(key).or_default().push(value);
                    }
                }
                Op::Retain(n) => {
                    let size: usize = model.values().map(Vec::len).sum();
                    model.values_mut().for_each(|values| values.retain(|value| value % n == 0));
                    model.retain(|_, values| !values.is_empty());
                    let removed = store.retain(&BAG, |_, value| value % n == 0).unwrap();
                    prop_assert_eq!(removed, size - model.values().map(Vec::len).sum::<usize>());
                }
                Op::Abandon(rows) => abandon(&store, &BAG, rows),
                Op::Reload => {
                    store.reload().unwrap();
                    model.clear();
                }
            }
            for (snapshot, model) in [(store.snapshot(), &model), (before.0, &before.1)] {
                let mut rows = HashMap::<u8, Vec<u32>>::new();
                snapshot.iter(&BAG).for_each(|(key, value)| rows.entry(*key).or_default().push(*value));
                prop_assert_eq!(&rows, model);
                prop_assert_eq!(snapshot.size(&BAG), model.values().map(Vec::len).sum::<usize>());
                for key in 0..12 {
                    let values = snapshot.get(&BAG, &key);
                    prop_assert_eq!(values.len(), model.get(&key).map_or(0, Vec::len));
                    prop_assert!(values.eq(model.get(&key).into_iter().flatten()));
                }
            }
        }
    }
}
