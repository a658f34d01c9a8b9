//! Columns to values and back: what a column holds is checked here, once.

use std::{fmt::Display, str::FromStr};

use dashvault_base::{ContentHash, WallMs};
use sqlx::{Row, sqlite::SqliteRow};

use super::IndexError;

/// The columns of one row by name.
pub(super) struct Columns<'a>(pub(super) &'a SqliteRow);

impl Columns<'_> {
    pub(super) fn text(&self, name: &'static str) -> Result<String, IndexError> {
        self.0.try_get(name).map_err(super::query(name))
    }

    pub(super) fn parsed<T: FromStr>(&self, name: &'static str) -> Result<T, IndexError> {
        let text = self.text(name)?;
        text.parse().map_err(|_| corrupt(name, &text))
    }

    pub(super) fn optional<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, IndexError> {
        let text: Option<String> = self.0.try_get(name).map_err(super::query(name))?;
        text.map(|text| text.parse().map_err(|_| corrupt(name, &text))).transpose()
    }

    pub(super) fn number(&self, name: &'static str) -> Result<i64, IndexError> {
        self.0.try_get(name).map_err(super::query(name))
    }

    pub(super) fn optional_number(&self, name: &'static str) -> Result<Option<i64>, IndexError> {
        self.0.try_get(name).map_err(super::query(name))
    }

    pub(super) fn unsigned<T: TryFrom<i64>>(&self, name: &'static str) -> Result<T, IndexError> {
        let number = self.number(name)?;
        T::try_from(number).map_err(|_| corrupt(name, &number))
    }

    pub(super) fn wall(&self, name: &'static str) -> Result<WallMs, IndexError> {
        self.number(name).map(WallMs)
    }

    pub(super) fn truth(&self, name: &'static str) -> Result<bool, IndexError> {
        self.0.try_get(name).map_err(super::query(name))
    }

    pub(super) fn hash(&self, name: &'static str) -> Result<ContentHash, IndexError> {
        let bytes: Vec<u8> = self.0.try_get(name).map_err(super::query(name))?;
        hash(name, bytes)
    }

    pub(super) fn optional_hash(&self, name: &'static str) -> Result<Option<ContentHash>, IndexError> {
        let bytes: Option<Vec<u8>> = self.0.try_get(name).map_err(super::query(name))?;
        bytes.map(|bytes| hash(name, bytes)).transpose()
    }
}

fn hash(name: &'static str, bytes: Vec<u8>) -> Result<ContentHash, IndexError> {
    let array = <[u8; 32]>::try_from(bytes);
    array.map(ContentHash::from_bytes).map_err(|bytes| corrupt(name, &format!("{} bytes", bytes.len())))
}

fn corrupt(what: &'static str, value: &dyn Display) -> IndexError {
    IndexError::Corrupt { what, value: value.to_string().chars().take(80).collect() }
}

/// SQL has no unsigned 64-bit numbers; ours never reach the sign.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
