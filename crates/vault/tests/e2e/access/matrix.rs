//! Every endpoint against every caller: what the running vault does is what its description says.
//!
//! The document is walked, so a new endpoint is tested by being there, and one without a role fails.

use std::sync::atomic::{AtomicU32, Ordering};

use dashvault_vault::{devices::revoke_device, users::Scopes};

use super::*;

/// One operation of the document.
#[derive(Debug, Clone)]
struct Operation {
    path: String,
    method: String,
    role: String,
    scope: Option<String>,
    /// Whether a session needs the CSRF token though anybody may ask.
    csrf: bool,
}

/// Somebody with credentials, or without.
#[derive(Debug, Clone)]
struct Caller {
    name: String,
    kind: Kind,
    headers: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// No credentials, or none that are worth anything.
    Nobody,
    Anonymous,
    User {
        role: Role,
        csrf: bool,
    },
    Token(Scopes),
    Device,
    RevokedDevice,
    AdminToken,
}

const ADMIN_TOKEN: &str = "the-administrators-word";
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "PATCH", "DELETE"];

#[tokio::test]
async fn every_endpoint_answers_each_caller_as_its_description_says() {
    let rig = vault(false).await;
    let operations = operations(&rig).await;
    let callers = callers(&rig).await;
    assert!(operations.len() > 20 && callers.len() > 15);
    for operation in &operations {
        for caller in &callers {
            check(&rig, operation, caller).await;
        }
    }
    println!("{} operations, {} callers", operations.len(), callers.len());
}

#[tokio::test]
async fn with_anonymous_access_nobody_is_a_viewer_at_every_endpoint() {
    let rig = vault(true).await;
    let anonymous = Caller { name: "anonymous".into(), kind: Kind::Anonymous, headers: Vec::new() };
    for operation in &operations(&rig).await {
        check(&rig, operation, &anonymous).await;
    }
}

#[tokio::test]
async fn another_device_does_not_exist_for_a_device_or_a_token_of_one() {
    let rig = vault(false).await;
    add_device(rig.data.path(), "truck").await.unwrap();
    let admin = Browser::of(&rig, "admin").await;
    let body = json!({ "name": "bus", "scopes": ["operate"], "device": "bus" });
    let secret =
        value(&admin.send("POST", "/api/v1/tokens", &body).await)["secret"].as_str().unwrap().to_owned();
    let token = Http { bearer: Some(secret), ..rig.stranger() };
    let reads = operations(&rig).await.into_iter().filter(|operation| {
        operation.path.contains("{device}") && operation.role == "viewer" && operation.method == "GET"
    });
    let mut checked = 0;
    for operation in reads {
        let path = filled(&operation, "truck") + "?from=0&to=1000&at=0";
        for http in [&rig.http(), &token] {
            assert_eq!(http.get(&path).await.status, 404, "{path}");
        }
        checked += 1;
    }
    assert!(checked > 4, "{checked}");
}

#[tokio::test]
async fn what_the_description_does_not_have_is_no_method() {
    let rig = vault(false).await;
    let operations = operations(&rig).await;
    let admin = Http { bearer: Some(ADMIN_TOKEN.into()), ..rig.stranger() };
    for operation in &operations {
        for method in METHODS {
            if operations.iter().any(|known| known.path == operation.path && known.method == method) {
                continue;
            }
            let answer = admin.request(method, &filled(operation, "ghost"), &[], &[]).await;
            assert_eq!(answer.status, 405, "{method} {} is not described", operation.path);
        }
    }
}

async fn vault(anyone: bool) -> Rig {
    with_users_and(|config| {
        config.admin_token = Some(ADMIN_TOKEN.into());
        config.allow_anonymous = anyone;
        // Each request comes from an address of its own, so that no throttle hides what a role may do.
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await
}

/// All operations; those that end a session come last.
async fn operations(rig: &Rig) -> Vec<Operation> {
    let document = value(&rig.stranger().get("/api/v1/openapi.json").await);
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let role = operation["x-role"].as_str();
            all.push(Operation {
                path: path.clone(),
                method: method.to_uppercase(),
                role: role.unwrap_or_else(|| panic!("{method} {path} has no x-role")).to_owned(),
                scope: operation["x-scope"].as_str().map(str::to_owned),
                csrf: operation["x-csrf"] == true,
            });
        }
    }
    all.sort_by_key(|operation| operation.csrf);
    all
}

async fn callers(rig: &Rig) -> Vec<Caller> {
    let bearer = |text: &str| vec![("authorization".to_owned(), format!("Bearer {text}"))];
    let gone = add_device(rig.data.path(), "gone").await.unwrap();
    revoke_device(rig.data.path(), &gone.id).await.unwrap();
    let caller = |name: &str, kind, headers| Caller { name: name.to_owned(), kind, headers };
    let mut all = vec![
        caller("nobody", Kind::Nobody, Vec::new()),
        caller("a wrong bearer", Kind::Nobody, bearer("nobody")),
        caller("a wrong token", Kind::Nobody, bearer(&format!("dvt_{}", "A".repeat(43)))),
        caller("a device", Kind::Device, bearer(&rig.device.token.bearer())),
        caller("a revoked device", Kind::RevokedDevice, bearer(&gone.token.bearer())),
        caller("the admin token", Kind::AdminToken, bearer(ADMIN_TOKEN)),
    ];
    let admin = Browser::of(rig, "admin").await;
    for scopes in ["view", "download", "import", "operate", "admin"] {
        let body = json!({ "name": scopes, "scopes": [scopes] });
        let made = value(&admin.send("POST", "/api/v1/tokens", &body).await);
        let secret = made["secret"].as_str().unwrap_or_else(|| panic!("{made}"));
        all.push(caller(
            &format!("a token to {scopes}"),
            Kind::Token(scopes.parse().unwrap()),
            bearer(secret),
        ));
    }
    for role in Role::ALL {
        for csrf in [true, false] {
            let browser = Browser::of(rig, role.name()).await;
            let mut headers = vec![("cookie".to_owned(), browser.cookie.unwrap())];
            headers.extend(browser.csrf.filter(|_| csrf).map(|token| ("x-csrf-token".to_owned(), token)));
            all.push(caller(&format!("{role}, csrf {csrf}"), Kind::User { role, csrf }, headers));
        }
    }
    let ended = Browser::of(rig, "admin").await;
    ended.delete("/api/v1/session").await;
    let headers =
        vec![("cookie".to_owned(), ended.cookie.unwrap()), ("x-csrf-token".to_owned(), ended.csrf.unwrap())];
    all.push(caller("an ended session of an administrator", Kind::Nobody, headers));
    all
}

/// What the document promises.
fn promised(operation: &Operation, caller: &Caller) -> Result<(), u16> {
    let changes = !matches!(operation.method.as_str(), "GET" | "HEAD" | "OPTIONS");
    let csrf_missing = changes && matches!(caller.kind, Kind::User { csrf: false, .. });
    let least = match operation.role.as_str() {
        "none" => return if operation.csrf && csrf_missing { Err(403) } else { Ok(()) },
        "device" => {
            return match caller.kind {
                Kind::Device => Ok(()),
                Kind::RevokedDevice => Err(403),
                _ => Err(401),
            };
        }
        role => role.parse::<Role>().unwrap_or_else(|_| panic!("{operation:?}")),
    };
    let has = |role: Role| if role >= least { Ok(()) } else { Err(403) };
    match &caller.kind {
        Kind::Nobody => Err(401),
        Kind::RevokedDevice => Err(403),
        Kind::User { .. } if csrf_missing => Err(403),
        Kind::User { role, .. } => has(*role),
        Kind::AdminToken => has(Role::Admin),
        Kind::Device | Kind::Anonymous => has(Role::Viewer),
        Kind::Token(scopes) => {
            let needed = operation.scope.as_deref().unwrap_or_else(|| panic!("{operation:?} has no x-scope"));
            if scopes.cover(needed.parse().unwrap()) { Ok(()) } else { Err(403) }
        }
    }
}

async fn check(rig: &Rig, operation: &Operation, caller: &Caller) {
    static ADDRESS: AtomicU32 = AtomicU32::new(0);
    let address = std::net::Ipv4Addr::from(0x0a00_0000 + ADDRESS.fetch_add(1, Ordering::Relaxed)).to_string();
    let mut headers: Vec<(&str, &str)> =
        caller.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.extend([
        ("x-forwarded-for", address.as_str()),
        ("tus-resumable", "1.0.0"),
        ("content-type", "application/json"),
    ]);
    let reads = matches!(operation.method.as_str(), "GET" | "HEAD" | "OPTIONS");
    // What changes something is asked of a device that does not exist: whoever may is told so.
    let path = filled(operation, if reads { "bus" } else { "ghost" });
    let body: &[u8] = if reads || operation.method == "DELETE" { &[] } else { b"{}" };
    let answer = rig.stranger().request(&operation.method, &path, &headers, body).await;
    let got = answer.status;
    let shown = format!("{} {path} as {}: {got} {}", operation.method, caller.name, answer.text());
    match promised(operation, caller) {
        Err(status) => assert_eq!(got, status, "{shown}"),
        Ok(()) => {
            assert!(!matches!(got, 401 | 403 | 405 | 429) && got < 500, "{shown}");
            assert!(!answer.text().contains("there is no such path"), "{shown}");
        }
    }
    if got >= 400 && operation.method != "HEAD" {
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{shown}");
    }
    assert!(
        answer.header("x-request-id").is_some() && answer.header("content-security-policy").is_some(),
        "{shown}"
    );
}

/// The path with something in each place.
fn filled(operation: &Operation, device: &str) -> String {
    let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        None => part.to_owned(),
        Some("device") => device.to_owned(),
        Some("camera") => "front".to_owned(),
        Some("recording") => "20261122-101500".to_owned(),
        Some("file") if operation.path.starts_with("/objects") => "20261122-101500_00000.ts".to_owned(),
        Some(_) => "nothing".to_owned(),
    };
    operation.path.split('/').map(part).collect::<Vec<_>>().join("/")
}
