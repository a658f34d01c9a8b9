//! The index: what is stored, lost and known, in SQLite; queries are written so that PostgreSQL takes them too
//! (`$1`, `ON CONFLICT`, `RETURNING`, no SQLite functions).
//!
//! Belongs here: opening, and one file of queries for each table. Does not: files, policy, time.
//! Invariants: WAL with `synchronous = FULL`, so a returned write survives power loss; one writing connection, so no
//! write ever waits for a snapshot to be upgraded; other processes may write too (busy timeout).

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

mod announced;
mod audit;
mod clips;
mod devices;
mod events;
mod imports;
mod live;
mod losses;
mod missing;
mod packs;
mod recordings;
mod retention;
mod row;
mod sessions;
mod spans;
mod tokens;
mod users;

pub(crate) use announced::AnnouncedRow;
pub use audit::{AuditFilter, AuditRow};
pub(crate) use clips::{ClipOutcome, ClipRow};
pub use devices::{DeviceFilter, DeviceRow, ShownDevice};
pub use events::{EventDeletion, EventFilter, EventRow, EventSource, VehicleEvent};
pub(crate) use imports::{ImportRow, ImportState};
pub use live::NumberBlock;
pub use losses::LossRow;
pub(crate) use packs::sealer_name;
pub use packs::{Committed, How, PackRow, SegmentRow, StoredPack};
pub use recordings::RecordingKind;
pub use retention::CameraUsage;
pub(crate) use retention::Candidate;
pub use tokens::TokenRow;
pub use users::{UserChange, UserRow};

const READERS: u32 = 4;
const BUSY: Duration = Duration::from_secs(10);

/// The index; clones share the connections.
#[derive(Debug, Clone)]
pub struct Index {
    write: SqlitePool,
    read: SqlitePool,
}

/// Why the index cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It cannot be opened, or a migration failed.
    #[error("index {} cannot be opened", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// Its tables are of another version.
    #[error("index {} cannot be brought to this program's version", path.display())]
    Migrate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sqlx::migrate::MigrateError,
    },
    /// A query failed.
    #[error("index query {what:?} failed")]
    Query {
        /// Which.
        what: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// A row holds what this program never writes.
    #[error("index has an impossible {what}: {value:?}")]
    Corrupt {
        /// Which column.
        what: &'static str,
        /// What it holds.
        value: String,
    },
}

impl Index {
    /// Opens the index, creates it where missing, and brings its tables up to date.
    ///
    /// # Errors
    /// [`IndexError::Open`] or [`IndexError::Migrate`].
    pub async fn open(path: &Path) -> Result<Self, IndexError> {
        let failed = |source| IndexError::Open { path: path.to_owned(), source };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .foreign_keys(true);
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections).acquire_timeout(BUSY);
        let write = pool(1).connect_with(options.clone()).await.map_err(failed)?;
        let migrated = sqlx::migrate!("migrations/sqlite").run(&write).await;
        migrated.map_err(|source| IndexError::Migrate { path: path.to_owned(), source })?;
        let read = pool(READERS).connect_with(options).await.map_err(failed)?;
        Ok(Self { write, read })
    }

    /// Answers when the index can be read.
    ///
    /// # Errors
    /// [`IndexError::Query`].
    pub async fn ping(&self) -> Result<(), IndexError> {
        let asked = sqlx::query("SELECT 1").fetch_one(&self.read).await;
        asked.map(drop).map_err(query("ping"))
    }

    /// Ends all connections after the running queries.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// Names the query that failed.
fn query(what: &'static str) -> impl Fn(sqlx::Error) -> IndexError {
    move |source| IndexError::Query { what, source }
}

#[cfg(test)]
mod tests;
