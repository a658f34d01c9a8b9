//! What an API token may do.
//!
//! An endpoint needs one scope: that of its noun, else that of its least role. So a token for an SD card reader imports
//! and does nothing else, though importing takes an operator.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Role;

/// One thing that a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// What a viewer may.
    View,
    /// Clips: make and download.
    Download,
    /// Imports.
    Import,
    /// What an operator may; includes the three above.
    Operate,
    /// Everything.
    Admin,
}

/// The text names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a scope is view, download, import, operate or admin")]
pub struct ScopeError;

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::View, Self::Download, Self::Import, Self::Operate, Self::Admin];

    /// The name in JSON and in the index.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Download => "download",
            Self::Import => "import",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    /// The scope that an endpoint needs, by its path's template and its least role.
    #[must_use]
    pub fn needed(path: &str, least: Role) -> Self {
        let below =
            |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match least {
            Role::Admin => Self::Admin,
            Role::Operator if below("/api/v1/imports") || below("/api/v1/import-jobs") => Self::Import,
            Role::Operator if below("/api/v1/clips") || path.ends_with("/clip.ts") => Self::Download,
            Role::Operator => Self::Operate,
            Role::Viewer => Self::View,
        }
    }

    const fn includes(self, other: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::Operate => !matches!(other, Self::Admin),
            _ => self as u8 == other as u8,
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or(ScopeError)
    }
}

/// The scopes of a token: at least one, each once, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Puts scopes in order; `None` where there is none.
    #[must_use]
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Option<Self> {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        (!scopes.is_empty()).then_some(Self(scopes))
    }

    /// The scopes one by one.
    #[must_use]
    pub fn as_slice(&self) -> &[Scope] {
        &self.0
    }

    /// Whether they let a token do what needs `needed`.
    #[must_use]
    pub fn cover(&self, needed: Scope) -> bool {
        self.0.iter().any(|scope| scope.includes(needed))
    }

    /// The role that a token acts as where the endpoint's path and least role allow it at all.
    #[must_use]
    pub fn role_at(&self, path: &str, least: Role) -> Option<Role> {
        let general = [(Scope::Admin, Role::Admin), (Scope::Operate, Role::Operator)];
        let own =
            general.into_iter().find(|(scope, _)| self.cover(*scope)).map_or(Role::Viewer, |(_, role)| role);
        self.cover(Scope::needed(path, least)).then(|| own.max(least))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|scope| scope.name()).collect();
        f.write_str(&names.join(" "))
    }
}

impl FromStr for Scopes {
    type Err = ScopeError;

    /// Reads what `Display` writes: names with spaces between.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let scopes: Result<Vec<Scope>, ScopeError> = text.split_ascii_whitespace().map(str::parse).collect();
        Self::new(scopes?).ok_or(ScopeError)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scopes(text: &str) -> Scopes {
        text.parse().unwrap()
    }

    #[test]
    fn an_import_token_imports_and_does_nothing_else() {
        let import = scopes("import");
        assert_eq!(import.role_at("/api/v1/imports/{id}", Role::Operator), Some(Role::Operator));
        assert_eq!(import.role_at("/api/v1/importsx", Role::Operator), None);
        assert_eq!(import.role_at("/api/v1/clips", Role::Operator), None);
        assert_eq!(import.role_at("/api/v1/devices", Role::Viewer), None);
        assert_eq!(import.role_at("/api/v1/imports", Role::Admin), None);
    }

    #[test]
    fn a_role_decides_where_no_noun_does() {
        let events = "/api/v1/events";
        assert_eq!(scopes("view").role_at(events, Role::Viewer), Some(Role::Viewer));
        assert_eq!(scopes("view download import").role_at(events, Role::Operator), None);
        assert_eq!(scopes("operate").role_at(events, Role::Viewer), Some(Role::Operator));
        assert_eq!(scopes("operate").role_at(events, Role::Admin), None);
        assert_eq!(scopes("admin").role_at(events, Role::Viewer), Some(Role::Admin));
    }

    fn any_scopes() -> impl Strategy<Value = Scopes> {
        proptest::sample::subsequence(Scope::ALL.to_vec(), 1..=5)
            .prop_map(|scopes| Scopes::new(scopes).unwrap())
    }

    proptest! {
        #[test]
        fn scopes_come_back_from_their_text(scopes in any_scopes()) {
            prop_assert_eq!(scopes.to_string().parse(), Ok(scopes));
        }

        #[test]
        fn more_scopes_never_allow_less_and_a_role_is_never_more_than_the_scopes_say(
            some in any_scopes(), more in any_scopes(), path in "/(api/v1/)?(imports|clips|events|import-jobs)(/[a-z.]{0,8})?",
            least in proptest::sample::select(Role::ALL.to_vec()),
        ) {
            let both = Scopes::new(some.as_slice().iter().chain(more.as_slice()).copied()).unwrap();
            let (some_role, both_role) = (some.role_at(&path, least), both.role_at(&path, least));
            prop_assert!(both_role >= some_role);
            if let Some(role) = some_role {
                prop_assert!(role >= least);
                prop_assert!(role < Role::Admin || some.cover(Scope::Admin));
                prop_assert!(role < Role::Operator || !some.as_slice().iter().all(|scope| *scope == Scope::View));
            }
        }
    }
}
