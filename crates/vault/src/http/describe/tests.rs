//! That the document has every route, and every route the document; and the reference manual, which is written from it.

use std::{collections::BTreeSet, fmt::Write, path::Path};

use serde_json::Map;

use super::*;

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

fn document() -> Value {
    let (_, described) = super::super::endpoints().split_for_parts();
    complete(serde_json::to_value(described).unwrap())
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let item = item.as_object().unwrap().clone();
        let path = path.clone();
        item.into_iter().map(move |(method, operation)| (path.clone(), method, operation)).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// The paths that the router has, as its `Debug` tells; there is no other way to ask it.
fn routed() -> BTreeSet<String> {
    let (router, _) = super::super::endpoints().split_for_parts();
    let shown = format!("{router:?}");
    let quoted = shown.split('"').skip(1).step_by(2);
    // "/" is the fallback's: the dashboard.
    quoted
        .filter(|text| text.len() > 1 && text.starts_with('/') && !text.contains("__private"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let described: BTreeSet<String> = document()["paths"].as_object().unwrap().keys().cloned().collect();
    assert!(described.len() > 15, "{described:?}");
    assert_eq!(described, routed());
}

#[test]
fn every_endpoint_says_who_may_use_it_what_it_does_and_where_it_belongs() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        let name = format!("{method} {path}");
        assert!(METHODS.contains(&method.as_str()), "{name}");
        let role = operation["x-role"].as_str().unwrap_or_else(|| panic!("{name} has no x-role"));
        assert!(matches!(role, "none" | "viewer" | "operator" | "admin" | "device"), "{name}: {role}");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name} has no summary");
        let tag = operation["tags"][0].as_str().unwrap_or_default();
        assert!(TAGS.iter().any(|(known, _)| *known == tag), "{name} has the tag {tag:?}");
        for parameter in path.split('/').filter_map(|part| part.strip_prefix('{')) {
            let parameter = parameter.trim_end_matches('}').trim_start_matches('*');
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            assert!(
                parameters.iter().any(|known| known["name"] == parameter),
                "{name} does not describe {parameter}"
            );
        }
    }
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(all) => all.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn reference_manual_is_what_the_document_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/api.md");
    let manual = manual(&document());
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &manual).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differ = written.lines().zip(manual.lines()).find(|(is, should)| is != should);
    assert!(
        written == manual,
        "docs/reference/api.md is not up to date ({differ:?}): UPDATE_REFERENCE=1 cargo test -p dashvault-vault reference"
    );
}

fn manual(document: &Value) -> String {
    let mut text = format!(
        "# HTTP interface\n\n\
         <!-- Written by `UPDATE_REFERENCE=1 cargo test -p dashvault-vault reference`; a test compares. -->\n\n\
         A running vault serves this as OpenAPI at `/api/v1/openapi.json`, and shows it at `/api/docs`. Who may do what, and \
         how one signs in: [access](../design/access.md).\n\n{INTRODUCTION}\n"
    );
    let operations = operations(document);
    for (tag, about) in TAGS {
        let of_tag: Vec<_> =
            operations.iter().filter(|(_, _, operation)| operation["tags"][0] == tag).collect();
        if of_tag.is_empty() {
            continue;
        }
        let _ =
            write!(text, "\n## {tag}\n{about}.\n\n| endpoint | role | scope | what |\n|---|---|---|---|\n");
        for (path, method, operation) in &of_tag {
            let cell = |name: &str| operation[name].as_str().unwrap_or("–").trim_end_matches('.').to_owned();
            let (method, role, scope) = (method.to_uppercase(), cell("x-role"), cell("x-scope"));
            let _ = writeln!(text, "| `{method} {path}` | {role} | {scope} | {} |", cell("summary"));
        }
        for (path, method, operation) in &of_tag {
            details(&mut text, document, path, method, operation);
        }
    }
    text
}

fn details(text: &mut String, document: &Value, path: &str, method: &str, operation: &Value) {
    let mut lines = Vec::new();
    for parameter in
        operation["parameters"].as_array().into_iter().flatten().filter(|found| found["in"] != "path")
    {
        let (name, about) = (parameter["name"].as_str().unwrap_or_default(), &parameter["description"]);
        lines.push(format!(
            "- `{name}` ({}): {}",
            parameter["in"].as_str().unwrap_or_default(),
            one_line(about)
        ));
    }
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    fields(&mut lines, document, body, "body");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        if matches!(status.as_str(), "401" | "403" | "default") {
            continue;
        }
        let about = one_line(&response["description"]);
        lines.push(format!(
            "- {status}{}",
            if about.is_empty() { String::new() } else { format!(": {about}") }
        ));
        fields(&mut lines, document, &response["content"]["application/json"]["schema"], "answer");
    }
    if !lines.is_empty() {
        let _ = write!(text, "\n`{} {path}`\n{}\n", method.to_uppercase(), lines.join("\n"));
    }
}

fn fields(lines: &mut Vec<String>, document: &Value, schema: &Value, what: &str) {
    let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) else { return };
    let schema = &document["components"]["schemas"][name];
    let parts = std::iter::once(schema).chain(schema["allOf"].as_array().into_iter().flatten());
    let mut names = Vec::new();
    for part in parts {
        let part = match part["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
            Some(pointer) => document.pointer(pointer).unwrap_or(part),
            None => part,
        };
        let required: Vec<&str> =
            part["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for name in part["properties"].as_object().into_iter().flat_map(Map::keys) {
            names.push(if required.contains(&name.as_str()) {
                format!("`{name}`")
            } else {
                format!("`{name}`?")
            });
        }
    }
    lines.push(format!("  - {what} `{name}`: {}", names.join(", ")));
}

fn one_line(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .trim_end_matches('.')
        .to_owned()
}
