//! What becomes of a valid row: columns are renamed, cells cast, and empty ones get their defaults.

use std::collections::BTreeMap;

use serde_json::Value;

use super::schema::{Cells, Field, Kind, Schema};

/// The record, and how many cells could not be cast. Columns that the schema does not name stay as they are.
pub(super) fn transform(cells: &Cells, schema: &Schema) -> (BTreeMap<String, Value>, u64) {
    let mut record: BTreeMap<String, Value> = BTreeMap::new();
    let mut uncast = 0;
    for (column, cell) in cells {
        if !schema.fields.iter().any(|field| field.column == *column) {
            record.insert(column.clone(), cell.as_str().into());
        }
    }
    for field in &schema.fields {
        let Field { column, rename, cast: to, default, .. } = field;
        let cell = cells.get(column).filter(|cell| !cell.is_empty()).or(default.as_ref());
        let value = match (cell, to) {
            (None, _) => Value::Null,
            (Some(cell), None) => cell.as_str().into(),
            (Some(cell), Some(kind)) => cast(cell, *kind).unwrap_or_else(|| {
                uncast += 1;
                cell.as_str().into()
            }),
        };
        record.insert(rename.as_ref().unwrap_or(column).clone(), value);
    }
    (record, uncast)
}

/// The cell as a value of a kind, if it is one.
fn cast(cell: &str, kind: Kind) -> Option<Value> {
    if !kind.fits(cell) {
        return None;
    }
    match kind {
        Kind::Integer => cell.parse::<i64>().ok().map(Value::from),
        Kind::Decimal => cell.parse::<f64>().ok().map(Value::from),
        Kind::Boolean => Some(matches!(cell, "yes" | "true").into()),
        Kind::Email => Some(cell.to_lowercase().into()),
        Kind::Text | Kind::Date => Some(cell.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_renamed_cast_and_filled_in() {
        let field = |column: &str| Field { column: column.to_owned(), ..Field::default() };
        let schema = Schema {
            version: 1,
            name: String::new(),
            fields: vec![
                Field { rename: Some("order".to_owned()), ..field("order_no") },
                Field { cast: Some(Kind::Integer), ..field("quantity") },
                Field { cast: Some(Kind::Decimal), ..field("price") },
                Field { default: Some("GB".to_owned()), ..field("country") },
                Field { default: Some("no".to_owned()), cast: Some(Kind::Boolean), ..field("gift") },
                field("absent"),
            ],
        };
        let cells =
            [("order_no", "7"), ("quantity", "a dozen"), ("price", "2.50"), ("country", ""), ("note", "x")];
        let cells = cells.map(|(column, cell)| (column.to_owned(), cell.to_owned())).into();
        let (record, uncast) = transform(&cells, &schema);
        let expected = json!({
            "order": "7", "quantity": "a dozen", "price": 2.5, "country": "GB", "gift": false, "absent": null,
            "note": "x",
        });
        assert_eq!((json!(record), uncast), (expected, 1));
    }
}
