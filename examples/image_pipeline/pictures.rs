//! Which pictures there are: thirty to be painted, or the user's.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use slither::ConfigError;

use super::flow::Wanted;

/// What a folder is searched for.
const EXTENSIONS: [&str; 9] = ["bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp", "ppm"];

/// The sizes of the painted pictures: every sixth is 4K, so that large and small ones meet.
const SIZES: [(u32, u32); 30] = [
    (100, 100),
    (640, 480),
    (1280, 720),
    (320, 240),
    (800, 600),
    (3840, 2160),
    (1920, 1080),
    (240, 320),
    (1024, 768),
    (160, 120),
    (1600, 900),
    (3840, 2160),
    (400, 400),
    (1280, 960),
    (600, 800),
    (200, 150),
    (1920, 1200),
    (3840, 2160),
    (720, 1280),
    (500, 333),
    (1366, 768),
    (128, 256),
    (1080, 1080),
    (3840, 2160),
    (900, 600),
    (2048, 1152),
    (333, 500),
    (768, 1024),
    (1440, 900),
    (3840, 2160),
];

/// Thirty pictures to be painted into a folder, about as many JPEG as PNG.
pub(super) fn painted(folder: &Path, thumbnails: &Path) -> Result<Vec<Wanted>, ConfigError> {
    let picture = |(number, (width, height)): (usize, (u32, u32))| {
        // Not every other one: all that are 4K would then be of one format.
        let extension = if (number + number / 6).is_multiple_of(2) { "jpg" } else { "png" };
        let stem = format!("{:02}-{width}x{height}", number + 1);
        let name = format!("{stem}.{extension}");
        let path = text(&folder.join(&name))?;
        let thumbnail = text(&thumbnails.join(format!("{stem}.png")))?;
        Ok(Wanted { name, path, thumbnail, width, height, seed: Some(number as u64) })
    };
    SIZES.into_iter().enumerate().map(picture).collect()
}

/// The pictures of a folder and the folders in it, in the order of their names; or one file, whatever it is
/// called.
///
/// # Errors
/// If it is missing, or the folder has no picture.
pub(super) fn found(path: &Path, thumbnails: &Path) -> Result<Vec<Wanted>, ConfigError> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    let mut files = Vec::new();
    if metadata.is_dir() {
        gather(path, &mut files)?;
    } else {
        files.push(path.to_owned());
    }
    if files.is_empty() {
        return Err(ConfigError::new(format!("there is no picture in {}", path.display()))
            .hint(format!("a folder is searched for files that end in .{}", EXTENSIONS.join(", ."))));
    }
    let mut taken = HashSet::new();
    let picture = |file: PathBuf| {
        let name = file.strip_prefix(path).ok().filter(|name| !name.as_os_str().is_empty());
        let name = name.or(file.file_name().map(Path::new)).unwrap_or(&file).to_string_lossy().into_owned();
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut called = (1..).map(|number: u64| match number {
            1 => format!("{stem}.png"),
            more => format!("{stem}-{more}.png"),
        });
        // Case is folded, because some file systems do.
        let free = called.find(|name| taken.insert(name.to_lowercase())).unwrap_or_default();
        let thumbnail = text(&thumbnails.join(free))?;
        Ok(Wanted { name, path: text(&file)?, thumbnail, width: 0, height: 0, seed: None })
    };
    files.into_iter().map(picture).collect()
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), ConfigError> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = entries.map_err(|error| unreadable(folder, &error))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| unreadable(&path, &error))?;
        let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_lowercase);
        if kind.is_dir() {
            gather(&path, files)?;
        } else if extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str())) {
            files.push(path);
        }
    }
    Ok(())
}

/// The path as Python is told it.
fn text(path: &Path) -> Result<String, ConfigError> {
    let absolute = std::path::absolute(path).map_err(|error| unreadable(path, &error))?;
    absolute.to_str().map(str::to_owned).ok_or_else(|| {
        ConfigError::new(format!("the name {} is no UTF-8 text", path.display())).hint("give it another name")
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> ConfigError {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            ConfigError::new(format!("there is no file or folder {}", path.display()))
                .hint("a relative path starts at the current folder")
        }
        _ => ConfigError::new(format!("{} cannot be read: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_are_painted_and_five_of_them_are_4k() {
        let painted = painted(Path::new("/p"), Path::new("/t")).unwrap();
        assert_eq!(painted.len(), 30);
        assert_eq!(painted.iter().filter(|it| (it.width, it.height) == (3840, 2160)).count(), 5);
        let least = painted.iter().map(|it| it.width * it.height).min();
        assert_eq!(least, Some(100 * 100));
    }

    #[test]
    fn a_folder_is_searched_and_no_two_thumbnails_share_a_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("more")).unwrap();
        for name in ["b.PNG", "a.jpg", "A.png", "notes.txt", "more/a.webp"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let found = found(folder.path(), Path::new("/t")).unwrap();
        let named: Vec<_> = found.iter().map(|it| (it.name.as_str(), it.thumbnail.as_str())).collect();
        let expected = [
            ("A.png", "/t/A.png"),
            ("a.jpg", "/t/a-2.png"),
            ("b.PNG", "/t/b.png"),
            ("more/a.webp", "/t/a-3.png"),
        ];
        assert_eq!(named, expected);
    }

    #[test]
    fn a_file_is_taken_whatever_it_is_called_and_an_empty_folder_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = found(folder.path(), Path::new("/t")).unwrap_err().to_string();
        assert!(refused.starts_with("there is no picture in"), "{refused}");
        let file = folder.path().join("scan.data");
        fs::write(&file, "").unwrap();
        assert_eq!(found(&file, Path::new("/t")).unwrap()[0].name, "scan.data");
        let missing = found(&folder.path().join("none"), Path::new("/t")).unwrap_err().to_string();
        assert!(missing.starts_with("there is no file or folder"), "{missing}");
    }
}
