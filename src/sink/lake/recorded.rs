//! What a reader that changes nothing sees of a lake: its tables, and their files as the recorded replacements leave them.

use std::collections::BTreeSet;

use object_store::path::Path;

use super::listing::LakeFile;
use super::location::{Lake, failed};
use super::replacement::STAGING;
use super::spec::{DEAD_LETTERS, LATE, late_table};
use crate::error::Result;

impl Lake {
    /// The tables that have a folder, by their paths below the lake, sorted: `_dead_letters`, `_late/revenue`, `user_events`.
    ///
    /// # Errors
    /// External or transient if the store cannot be listed.
    pub async fn tables(&self) -> Result<Vec<String>> {
        let mut tables = Vec::new();
        for name in self.folders("").await? {
            match name.as_str() {
                LATE => tables.extend(self.folders(LATE).await?.iter().map(|table| late_table(table))),
                DEAD_LETTERS => tables.push(name),
                name if name.starts_with('_') => {}
                _ => tables.push(name),
            }
        }
        tables.sort_unstable();
        Ok(tables)
    }

    async fn folders(&self, below: &str) -> Result<Vec<String>> {
        let listed = self.store.list_with_delimiter(Some(&self.object(below))).await;
        let listed = listed.map_err(|e| failed("cannot list the lake", self.place(below), e))?;
        Ok(listed.common_prefixes.iter().filter_map(Path::filename).map(str::to_owned).collect())
    }

    /// As [`Lake::list`], with every recorded replacement taken as carried out: new files that wait to be moved are listed where they
    /// wait, and old ones that are about to go are not. So a replacement is seen whole or not at all, though its process may be at it, or
    /// may have been killed.
    ///
    /// # Errors
    /// External or transient if the store cannot be listed, or if a record cannot be read.
    pub async fn list_recorded(&self, table: &str) -> Result<Vec<LakeFile>> {
        // What is moved after this is found at its new place below.
        let (mut intents, mut waiting) = (Vec::new(), Vec::new());
        for id in self.staged_ids().await? {
            let Some(intent) = self.recorded(&id).await? else { continue };
            let staged = self.list_staged(&format!("{STAGING}/{id}/files/")).await?;
            waiting.extend(staged.into_iter().filter(|file| file.table == table).filter_map(|file| {
                let destination = intent.destination(&file.path)?.to_owned();
                Some((destination, file))
            }));
            intents.push(intent);
        }
        let mut files = self.list(table).await?;
        if intents.is_empty() {
            return Ok(files);
        }
        // The old file of a name that waits is about to be overwritten, or has been: its size tells which.
        let sizes: BTreeSet<(&str, u64)> = waiting.iter().map(|(to, file)| (to.as_str(), file.bytes)).collect();
        let names: BTreeSet<&str> = waiting.iter().map(|(to, _)| to.as_str()).collect();
        files.retain(|file| {
            let overwritten = names.contains(&*file.path) && !sizes.contains(&(&*file.path, file.bytes));
            !overwritten && !intents.iter().any(|intent| intent.removes(&file.path))
        });
        let moved: BTreeSet<String> = files.iter().map(|file| file.path.clone()).collect();
        files.extend(waiting.into_iter().filter(|(to, _)| !moved.contains(to)).map(|(_, file)| file));
        files.sort_unstable();
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: &str = "year=2026/month=01/day=31/hour=18";

    fn write(dir: &tempfile::TempDir, path: &str, text: &str) {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    async fn listed(lake: &Lake) -> Vec<String> {
        lake.list_recorded("t").await.unwrap().into_iter().map(|file| file.path).collect()
    }

    #[tokio::test]
    async fn tables_are_folders_of_tables() {
        let (dir, lake) = Lake::in_temp_folder();
        assert!(lake.tables().await.unwrap().is_empty());
        for path in
            ["user_events/x", "_late/revenue/x", "_late/x", "_dead_letters/x", "_staging/id/x", "_checkpoints/x", "f"]
        {
            write(&dir, path, "");
        }
        assert_eq!(lake.tables().await.unwrap(), ["_dead_letters", "_late/revenue", "user_events"]);
    }

    #[tokio::test]
    async fn a_recorded_replacement_counts_wherever_it_was_cut_short() {
        let (dir, lake) = Lake::in_temp_folder();
        let (old, new) = (format!("t/{HOUR}/old.parquet"), format!("t/{HOUR}/new.parquet"));
        let staged = format!("_staging/id/files/{new}");
        write(&dir, &old, "old");
        write(&dir, &staged, "new one");
        assert_eq!(listed(&lake).await, [old.as_str()], "without its record it is nothing");
        let record = format!(r#"{{"version":1,"publish":[{{"from":"{staged}","to":"{new}"}}],"remove":["{old}"]}}"#);
        write(&dir, "_staging/id/replace.json", &record);
        assert_eq!(listed(&lake).await, [staged.as_str()]);
        std::fs::rename(dir.path().join(&staged), dir.path().join(&new)).unwrap();
        assert_eq!(listed(&lake).await, [new.as_str()]);
        std::fs::remove_file(dir.path().join(&old)).unwrap();
        assert_eq!(listed(&lake).await, [new.as_str()]);
        assert!(lake.list_recorded("u").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_file_that_is_about_to_be_overwritten_is_not_read() {
        let (dir, lake) = Lake::in_temp_folder();
        let path = format!("t/{HOUR}/a.parquet");
        let staged = format!("_staging/id/files/{path}");
        write(&dir, &path, "old");
        write(&dir, &staged, "longer");
        let record = format!(r#"{{"version":1,"publish":[{{"from":"{staged}","to":"{path}"}}],"remove":[]}}"#);
        write(&dir, "_staging/id/replace.json", &record);
        assert_eq!(listed(&lake).await, [staged.as_str()]);
    }
}
