//! What the examples that compare kinds of pools begin with.

use std::path::Path;

use include_dir::Dir;
use slither::ConfigError;
use slither::python::Interpreter;
use tempfile::TempDir;

use crate::Settings;
use crate::observe::Observer;

/// The Python files of a comparison, for as long as it runs, and the interpreter that its threads get.
pub(crate) struct Ground {
    folder: TempDir,
    /// The one without a GIL, where there is one.
    pub(crate) free: Option<Interpreter>,
}

impl Ground {
    /// Writes the files of the example `name` and looks for the interpreter. `because` says why it takes no input and no
    /// chaos.
    ///
    /// # Errors
    /// If there is either, if the files cannot be written, or if a free-threaded Python is named that is none.
    pub(crate) async fn prepare(
        name: &str,
        because: &str,
        python: &Dir<'_>,
        settings: &Settings,
        observer: &dyn Observer,
    ) -> Result<Self, ConfigError> {
        if settings.input.is_some() || settings.chaos.is_some() {
            return Err(ConfigError::new(format!("the example `{name}` takes no input and no chaos"))
                .hint(format!("leave --input and --chaos out: {because}")));
        }
        let unwritten = |error| ConfigError::new(format!("the example's files cannot be written: {error}"));
        let folder = tempfile::tempdir().map_err(unwritten)?;
        python.extract(folder.path()).map_err(unwritten)?;
        observer.step("looking for a Python without a GIL", None);
        let found = tokio::task::spawn_blocking(Interpreter::find_free_threaded).await;
        let free =
            found.map_err(|error| ConfigError::new(format!("no interpreter was looked for: {error}")))??;
        Ok(Self { folder, free })
    }

    /// Where the Python files are.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}
