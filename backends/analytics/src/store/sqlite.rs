use std::path::Path;

pub struct SqliteStore;

impl SqliteStore {
    pub fn open(_folder: &Path) -> Result<Self, kit::database::Error> {
        Ok(Self)
    }
}

impl super::Store for SqliteStore {}
