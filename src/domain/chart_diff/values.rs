//! Values that the user sets, against the defaults of both versions.

use serde_json::Value;

use super::tree::{at, kind};
use super::{Chart, UserValues};

/// Longest value that is shown, in characters.
const MAX_SHOWN: usize = 60;

/// What became of the values that users set.
pub(super) struct Own {
    /// Gone, or of another type.
    pub(super) broken: Vec<String>,
    /// Only the default below them changed.
    pub(super) defaults: Vec<String>,
}

pub(super) fn of_users(old: &Chart, new: &Chart, users: &[UserValues]) -> Own {
    let mut own = Own { broken: Vec::new(), defaults: Vec::new() };
    for user in users {
        let place = if users.len() > 1 { format!(" ({})", user.release) } else { String::new() };
        let mut paths = Vec::new();
        leaves(&user.values, &mut Vec::new(), &mut paths);
        for path in paths {
            let name = path.join(".");
            match (at(&old.values, &path), at(&new.values, &path)) {
                (Some(_), None) if !is_open(&new.values, &path) => {
                    own.broken.push(format!("`{name}` is no value of the chart any more{place}"));
                }
                // Nobody knows the type that is meant by nothing.
                (Some(Value::Null), _) | (_, Some(Value::Null)) | (None, _) | (_, None) => {}
                (Some(was), Some(is)) if kind(was) != kind(is) => own.broken.push(format!(
                    "`{name}` was a {} and is a {} by default{place}",
                    kind(was),
                    kind(is)
                )),
                (Some(was), Some(is)) if was != is && !was.is_object() => own.defaults.push(format!(
                    "`{name}`: the default was `{}` and is `{}`; yours stays{place}",
                    shown(was),
                    shown(is)
                )),
                _ => {}
            }
        }
        if user.has_more {
            own.defaults.push(format!(
                "`{}` takes further values from ConfigMaps or Secrets, which were not compared",
                user.release
            ));
        }
    }
    own
}

/// The paths of what is set: lists are values, and so are empty maps.
fn leaves(value: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, inner) in map {
                path.push(key.clone());
                leaves(inner, path, found);
                path.pop();
            }
        }
        _ if path.is_empty() => {}
        _ => found.push(path.clone()),
    }
}

/// Whether the defaults leave open what stands below some part of a path: `{}` or nothing.
fn is_open(defaults: &Value, path: &[String]) -> bool {
    for length in (0..path.len()).rev() {
        match at(defaults, &path[..length]) {
            Some(Value::Object(map)) => return map.is_empty() && length > 0,
            Some(Value::Null) => return length > 0,
            Some(_) => return false,
            None => {}
        }
    }
    false
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
