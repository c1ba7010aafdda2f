//! MQTT topics and topic filters (MQTT 3.1.1 §4.7).

/// The longest topic or filter that the protocol can carry.
const LONGEST: usize = 65_535;

/// Whether something can be published on `topic`.
pub fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= LONGEST && !topic.contains(['+', '#', '\0'])
}

/// Whether `filter` can be subscribed to: `+` fills a level, `#` fills the last one.
pub fn is_filter(filter: &str) -> bool {
    if filter.is_empty() || filter.len() > LONGEST || filter.contains('\0') {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let last = levels.peek().is_none();
        let fits = match level {
            "+" => true,
            "#" => last,
            word => !word.contains(['+', '#']),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// Whether `topic` is among those that `filter` asks for. A wildcard in the first level leaves out topics that begin
/// with `$`, which belong to the broker.
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut words = topic.split('/');
    for level in filter.split('/') {
        match (level, words.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (name, Some(word)) if name == word => {}
            _ => return false,
        }
    }
    words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_choose_topics_as_the_standard_says() {
        for (filter, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/c", false),
            ("a/b", "a/b/c", false),
            ("a/b/c", "a/b", false),
            ("a/+", "a/b", true),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("+/+", "/a", true),
            ("a/+/c", "a/b/c", true),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("#", "a/b", true),
            ("#", "$SYS/uptime", false),
            ("+/uptime", "$SYS/uptime", false),
            ("$SYS/#", "$SYS/uptime", true),
            ("é/+", "é/b", true),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn wildcards_fill_whole_levels_only() {
        for good in ["a", "+", "#", "a/+/b", "a/#", "/", "+/#"] {
            assert!(is_filter(good), "{good}");
        }
        for bad in ["", "a/#/b", "a#", "a+", "+a/b", "a/b#", "a\0"] {
            assert!(!is_filter(bad), "{bad:?}");
        }
        assert!(is_topic("a/b") && !is_topic("a/+") && !is_topic("") && !is_topic("a\0"));
    }
}
