//! A client that keeps its cookie and sends the CSRF token, as a browser with the dashboard does.

use super::*;

#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) http: Http,
    pub(crate) cookie: Option<String>,
    pub(crate) csrf: Option<String>,
    /// Headers that a proxy adds.
    pub(crate) forwarded: Vec<(String, String)>,
}

impl Browser {
    pub(crate) fn new(rig: &Rig) -> Self {
        Self { http: rig.stranger(), cookie: None, csrf: None, forwarded: Vec::new() }
    }

    /// A browser in which somebody has signed in.
    pub(crate) async fn of(rig: &Rig, name: &str) -> Self {
        let mut browser = Self::new(rig);
        let answer = browser.sign_in(name, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        browser
    }

    pub(crate) async fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        self.enter("/api/v1/session", json!({ "name": name, "password": password })).await
    }

    /// A request that begins a session, if it succeeds.
    pub(crate) async fn enter(&mut self, path: &str, body: Value) -> Answer {
        let answer = self.send("POST", path, &body).await;
        if let Some(cookie) = answer.header("set-cookie") {
            self.cookie = cookie.split(';').next().map(str::to_owned);
            self.csrf = value(&answer)["csrf"].as_str().map(str::to_owned);
        }
        answer
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(self.cookie.as_deref().map(|cookie| ("cookie", cookie)));
        headers.extend(self.csrf.as_deref().map(|csrf| ("x-csrf-token", csrf)));
        headers.extend(self.forwarded.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.http.request(method, path, &headers, text.as_bytes()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &Value::Null).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &Value::Null).await
    }

    pub(crate) async fn who(&self) -> Value {
        value(&self.get("/api/v1/session").await)
    }
}
