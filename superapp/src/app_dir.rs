//! The folder of a built web app (`gateway.app_dir`), read into memory once: what the gateway serves under `/app/`.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use gateway::App;
use walkdir::{DirEntry, WalkDir};

/// An app larger than this belongs on servers that are made for files.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
const FILES_MAX: usize = 10_000;

/// The app in `folder`.
///
/// # Errors
///
/// When it cannot be read whole, is larger than memory should hold, leads out of the folder, or has no page to begin with.
pub(crate) fn read(folder: &Path) -> anyhow::Result<App> {
    let files = files(folder).with_context(|| format!("gateway.app_dir: read {}", folder.display()))?;
    Ok(App::new(files)?)
}

fn files(folder: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let root = folder.canonicalize()?;
    let (mut files, mut bytes) = (Vec::new(), 0);
    // Links are followed, as some ways to mount a folder are made of them; of those that go in circles the walk complains.
    for entry in WalkDir::new(&root).follow_links(true).into_iter().filter_entry(|entry| !is_scaffold(entry)) {
        let entry = entry?;
        if !entry.file_type().is_file() {
            continue;
        }
        let (path, name) = (entry.path(), entry.path().strip_prefix(&root)?);
        ensure!(path.canonicalize()?.starts_with(&root), "{} is a link to something outside of it", name.display());
        let Some(name) = name.to_str() else { bail!("{} is no name that a URL can have", name.display()) };
        bytes += entry.metadata()?.len();
        ensure!(bytes <= BYTES_MAX && files.len() < FILES_MAX, "it has more than {FILES_MAX} files or {} MiB", BYTES_MAX >> 20);
        files.push((name.to_owned(), fs::read(path).with_context(|| name.to_owned())?));
    }
    Ok(files)
}

/// Kubernetes keeps the versions of what it mounts beside it, in folders such as `..data`.
fn is_scaffold(entry: &DirEntry) -> bool {
    entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with("..")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path) -> Result<Vec<String>, String> {
        let mut names: Vec<_> = files(folder).map_err(|error| format!("{error:#}"))?.into_iter().map(|(name, _)| name).collect();
        names.sort();
        Ok(names)
    }

    #[test]
    fn a_folder_is_read_with_all_that_is_below_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("static/js")).unwrap();
        fs::write(root.join("index.html"), "<p>").unwrap();
        fs::write(root.join("static/js/main.js"), "1").unwrap();
        assert_eq!(names(root).unwrap(), ["index.html", "static/js/main.js"]);
        assert!(read(root).is_ok());
    }

    #[test]
    fn links_within_are_followed_and_no_file_is_read_twice() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("..2026")).unwrap();
        fs::write(root.join("..2026/index.html"), "<p>").unwrap();
        symlink("..2026", root.join("..data")).unwrap();
        symlink("..data/index.html", root.join("index.html")).unwrap();
        assert_eq!(names(root).unwrap(), ["index.html"]);
    }

    #[test]
    fn what_cannot_be_served_is_told() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = folder.path();
        let error = read(root).err().expect("it is empty").to_string();
        assert!(error.contains("no index.html"), "{error}");
        let error = format!("{:#}", read(&root.join("nothing")).err().expect("it is not there"));
        assert!(error.contains("nothing: No such file"), "{error}");

        fs::write(other.path().join("secret"), "1").unwrap();
        symlink(other.path().join("secret"), root.join("link")).unwrap();
        assert_eq!(names(root).unwrap_err(), "link is a link to something outside of it");
        fs::remove_file(root.join("link")).unwrap();
        symlink(root, root.join("circle")).unwrap();
        assert!(names(root).unwrap_err().contains("loop"));
        fs::remove_file(root.join("circle")).unwrap();

        let large = fs::File::create(root.join("large")).unwrap();
        large.set_len(BYTES_MAX + 1).unwrap();
        assert!(names(root).unwrap_err().contains("more than"));
    }
}
