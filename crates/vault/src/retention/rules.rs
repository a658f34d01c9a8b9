//! The rules as their owner states them: bounds by age and bytes, for one camera, one device, or all.
//!
//! Pure. Invariant: a [`Policy`] that was [checked](Policy::check) has at most one rule for each scope, and every bound
//! fits the index's signed numbers.

use dashvault_base::{CameraName, DeviceId};
use serde::{Deserialize, Serialize};

/// Rules that one vault may have.
const MAX_RULES: usize = 500;

/// All rules of a vault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    /// For cameras, devices, and all.
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
    /// For the vault as a whole.
    #[serde(default)]
    pub(crate) vault: VaultBounds,
}

/// One rule. Without a device it is for all that have no rule of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// The device; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) device: Option<DeviceId>,
    /// Its camera; none: all of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) camera: Option<CameraName>,
    /// How long a pack is kept after it was stored, in milliseconds.
    #[serde(default)]
    pub(crate) max_age_ms: Option<u64>,
    /// How many bytes of each camera are kept.
    #[serde(default)]
    pub(crate) max_bytes: Option<u64>,
}

/// What one camera's packs are held to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) max_age_ms: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
}

/// Bounds on the vault as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VaultBounds {
    /// How many bytes of packs are kept.
    #[serde(default)]
    pub(crate) max_bytes: Option<u64>,
    /// How many bytes stay free on the disk.
    #[serde(default)]
    pub(crate) min_free_bytes: Option<u64>,
    /// How long live bytes that no recorder claims are kept, in milliseconds.
    #[serde(default)]
    pub(crate) live_max_age_ms: Option<u64>,
}

/// Why rules cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    #[error("a vault may have {MAX_RULES} rules, not {0}")]
    TooMany(usize),
    #[error("rule {0} names a camera and no device")]
    CameraWithoutDevice(usize),
    #[error("rules {0} and {1} are for the same footage")]
    Twice(usize, usize),
    #[error("{0} must be more than 0 and less than 2^63")]
    Bound(&'static str),
}

impl Policy {
    /// Whether the rules can be carried out.
    pub(crate) fn check(&self) -> Result<(), RuleError> {
        if self.rules.len() > MAX_RULES {
            return Err(RuleError::TooMany(self.rules.len()));
        }
        let scope = |rule: &Rule| (rule.device.clone(), rule.camera.clone());
        let mut seen = std::collections::BTreeMap::new();
        for (number, rule) in self.rules.iter().enumerate() {
            if rule.device.is_none() && rule.camera.is_some() {
                return Err(RuleError::CameraWithoutDevice(number));
            }
            if let Some(first) = seen.insert(scope(rule), number) {
                return Err(RuleError::Twice(first, number));
            }
            bound("max_age_ms", rule.max_age_ms)?;
            bound("max_bytes", rule.max_bytes)?;
        }
        bound("vault.max_bytes", self.vault.max_bytes)?;
        bound("vault.min_free_bytes", self.vault.min_free_bytes)?;
        bound("vault.live_max_age_ms", self.vault.live_max_age_ms)
    }

    /// What a camera's packs are held to: by the most specific rule that fits, and by nothing else.
    pub(crate) fn bounds(&self, device: &DeviceId, camera: &CameraName) -> Bounds {
        let fits = |rule: &&Rule| {
            rule.device.as_ref().is_none_or(|of| of == device)
                && rule.camera.as_ref().is_none_or(|of| of == camera)
        };
        let most_specific = |rule: &&Rule| (rule.device.is_some(), rule.camera.is_some());
        let rule = self.rules.iter().filter(fits).max_by_key(most_specific);
        rule.map_or_else(Bounds::default, |rule| Bounds {
            max_age_ms: rule.max_age_ms,
            max_bytes: rule.max_bytes,
        })
    }
}

fn bound(name: &'static str, value: Option<u64>) -> Result<(), RuleError> {
    match value {
        Some(value) if value == 0 || i64::try_from(value).is_err() => Err(RuleError::Bound(name)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(device: Option<&str>, camera: Option<&str>, max_bytes: u64) -> Rule {
        Rule {
            device: device.map(|id| id.parse().unwrap()),
            camera: camera.map(|name| name.parse().unwrap()),
            max_age_ms: None,
            max_bytes: Some(max_bytes),
        }
    }

    fn policy(rules: Vec<Rule>) -> Policy {
        Policy { rules, vault: VaultBounds::default() }
    }

    #[test]
    fn the_most_specific_rule_applies_whole() {
        let with_age = Rule { max_age_ms: Some(5), ..rule(None, None, 1) };
        let policy = policy(vec![rule(Some("bus"), Some("front"), 3), with_age, rule(Some("bus"), None, 2)]);
        policy.check().unwrap();
        let of = |device: &str, camera: &str| {
            let bounds = policy.bounds(&device.parse().unwrap(), &camera.parse().unwrap());
            (bounds.max_age_ms, bounds.max_bytes)
        };
        assert_eq!(of("bus", "front"), (None, Some(3)));
        assert_eq!(of("bus", "rear"), (None, Some(2)));
        assert_eq!(of("truck", "front"), (Some(5), Some(1)));
    }

    #[test]
    fn without_a_rule_there_is_no_bound() {
        let bounds = policy(Vec::new()).bounds(&"bus".parse().unwrap(), &"front".parse().unwrap());
        assert_eq!(bounds, Bounds::default());
    }

    #[test]
    fn what_cannot_be_carried_out_is_refused() {
        let twice = policy(vec![rule(None, None, 1), rule(Some("a"), None, 1), rule(None, None, 2)]);
        assert_eq!(twice.check(), Err(RuleError::Twice(0, 2)));
        assert_eq!(policy(vec![rule(None, Some("x"), 1)]).check(), Err(RuleError::CameraWithoutDevice(0)));
        for wrong in [0, 1 << 63] {
            assert_eq!(policy(vec![rule(None, None, wrong)]).check(), Err(RuleError::Bound("max_bytes")));
        }
        assert_eq!(policy(vec![rule(None, None, 1); 501]).check(), Err(RuleError::TooMany(501)));
    }

    #[test]
    fn a_key_that_is_no_rule_is_refused() {
        assert!(serde_json::from_str::<Policy>(r#"{"rules":[{"max_days":3}]}"#).is_err());
        assert_eq!(serde_json::from_str::<Policy>("{}").unwrap(), Policy::default());
    }
}
