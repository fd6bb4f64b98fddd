//! What is sent to the builder: the repository without what `.dockerignore` excludes.
use std::path::Path;

/// The build context.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// Its folder.
    pub root: &'a Path,
    /// The text of `.dockerignore`.
    pub ignore: &'a str,
}

impl Context<'_> {
    /// Whether a file or folder is sent; the last pattern that matches it, or a folder that it is in, decides.
    #[must_use]
    pub fn sends(&self, path: &str) -> bool {
        let patterns = self.ignore.lines().map(str::trim);
        let patterns = patterns.filter(|it| !it.is_empty() && !it.starts_with('#'));
        patterns.fold(true, |sent, pattern| match pattern.strip_prefix('!') {
            Some(pattern) => sent || covers(pattern, path),
            None => sent && !covers(pattern, path),
        })
    }

    /// Whether it is there and sent.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.root.join(path).exists() && self.sends(path)
    }
}

/// Whether a pattern matches a path, or a folder that it is in.
fn covers(pattern: &str, path: &str) -> bool {
    let pattern: Vec<_> = pattern.trim_matches('/').split('/').collect();
    let path: Vec<_> = path.trim_matches('/').split('/').collect();
    (1..=path.len()).any(|length| matches(&pattern, &path[..length]))
}

fn matches(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (["**", rest @ ..], _) => (0..=path.len()).any(|skipped| matches(rest, &path[skipped..])),
        (["*", rest @ ..], [_, names @ ..]) => matches(rest, names),
        ([one, rest @ ..], [name, names @ ..]) => one == name && matches(rest, names),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pattern_decides() {
        let it = Context {
            root: Path::new("."),
            ignore: "*\n!services\n**/tests\nservices/fleet/fuzz\n",
        };
        let sent = ["services", "services/bff/src/lib.rs", "services/fleet/src/fuzz.rs"];
        let kept = [
            "README.md",
            "services/bff/tests",
            "services/bff/tests/it/a.rs",
            "services/fleet/fuzz/a",
        ];
        assert!(sent.iter().all(|path| it.sends(path)));
        assert!(!kept.iter().any(|path| it.sends(path)));
    }
}
