//! `slither matrix`: what is known of libraries under threads, and what they do to an interpreter of the user's.

use slither::ConfigError;
use slither::python::{Interpreter, Library, Matrix};
use slither_examples::Observer;

use crate::print::{Looked, Row};
use crate::progress::Bars;
use crate::{End, args, print};

/// Shows all libraries in a table, or those that are named with all that is known of them.
pub(crate) fn run(args: &args::Matrix) -> Result<End, ConfigError> {
    let matrix = match &args.file {
        Some(path) => Matrix::with_file(path)?,
        None => Matrix::builtin().clone(),
    };
    let named = args.names.iter().map(|name| find(&matrix, name)).collect::<Result<Vec<_>, _>>()?;
    let shown = if named.is_empty() { matrix.libraries().iter().collect() } else { named };
    let python = args.python.as_deref().map(Interpreter::named).transpose()?;

    let bars = Bars::new();
    let look = |library: &Library| {
        let python = python.as_ref()?;
        bars.step(&format!("importing {}", library.import), None);
        Some(library.look(python).map_or(Looked::NotInstalled, Looked::Imported))
    };
    let row = |library| Row { library, looked: look(library) };
    let rows: Vec<Row<'_>> = shown.into_iter().map(row).collect();
    drop(bars);
    match args.names.is_empty() {
        true => print::matrix(&rows, python.as_ref(), args.json)?,
        false => print::libraries(&rows, python.as_ref(), args.json)?,
    }
    Ok(End::Done)
}

fn find<'a>(matrix: &'a Matrix, name: &str) -> Result<&'a Library, ConfigError> {
    matrix.get(name).ok_or_else(|| {
        let error = ConfigError::new(format!("nothing is known of a library `{name}`"));
        let known: Vec<&str> = matrix.libraries().iter().map(|library| library.name.as_str()).collect();
        match slither::nearest(name, &known) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => {
                error.hint("`slither matrix` lists what is known; add what you know in a file, for --file")
            }
        }
    })
}
