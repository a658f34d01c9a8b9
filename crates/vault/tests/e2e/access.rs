//! Who is let in, by what, until when: first run, sessions, users, tokens, throttles, audit.

use dashvault_vault::{
    archive::index::{AuditFilter, AuditRow, Index},
    devices::add_device,
    users::{NewUser, Role, add_user},
};
use serde_json::{Value, json};

use crate::rig::{Answer, Http, Rig, eventually};

mod audit;
mod browser;
mod devices;
mod docs;
mod first_run;
mod matrix;
mod sessions;
mod throttles;
mod tokens;
mod users;

pub(crate) use browser::Browser;

pub(crate) const PASSWORD: &str = "correct horse";

/// A vault with a user of each role, named as the role.
async fn with_users() -> Rig {
    with_users_and(|_| {}).await
}

async fn with_users_and(change: impl FnOnce(&mut dashvault_vault::VaultConfig)) -> Rig {
    let rig = Rig::start_with(change).await;
    for role in Role::ALL {
        add(&rig, role.name(), role).await;
    }
    rig
}

async fn add(rig: &Rig, name: &str, role: Role) {
    let user = NewUser { name: name.into(), role, password: PASSWORD.into() };
    add_user(rig.data.path(), user).await.unwrap();
}

async fn index(rig: &Rig) -> Index {
    Index::open(&rig.data.path().join("index.sqlite")).await.unwrap()
}

/// The newest acts, once there are so many of this name.
async fn acts(rig: &Rig, action: &str, count: usize) -> Vec<AuditRow> {
    let index = index(rig).await;
    let filter = AuditFilter { action: Some(action.into()), ..AuditFilter::default() };
    eventually("acts in the audit log", async || {
        let rows = index.audit(&filter, 1000).await.unwrap();
        (rows.len() >= count).then(|| rows.into_iter().map(|(_, row)| row).collect())
    })
    .await
}

fn value(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}
