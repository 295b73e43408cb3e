use regex::Regex;

/// Which topics a member consumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topics {
    /// These. Kafka: `createMessageStreams`; pattern `static`.
    Named(Vec<String>),
    /// All that match this regular expression, also those that are created later. Kafka: `createMessageStreamsByFilter` with a
    /// `Whitelist`.
    WhiteList(String),
    /// All that do not match this regular expression, also those that are created later. Kafka: a `Blacklist`.
    BlackList(String),
}

/// A white or black list of topics, as Kafka's high-level consumer evaluates it: a regular expression that has to match a name
/// as a whole.
#[derive(Clone, Debug)]
pub struct TopicFilter {
    expression: Regex,
    listed: bool,
}

/// Topics that Kafka itself keeps; no list ever means them.
const INTERNAL_TOPICS: [&str; 1] = ["__consumer_offsets"];

impl TopicFilter {
    /// A list that names what is consumed.
    ///
    /// # Errors
    ///
    /// Why the expression cannot be evaluated as Java would: it is none, or it uses what only Java's engine knows, such as
    /// look-around or back references.
    pub fn white_list(expression: &str) -> Result<Self, String> {
        Self::new(expression, true)
    }

    /// A list that names what is left out. Errors as for [`TopicFilter::white_list`].
    pub fn black_list(expression: &str) -> Result<Self, String> {
        Self::new(expression, false)
    }

    fn new(raw: &str, listed: bool) -> Result<Self, String> {
        // Java's own reading: commas separate alternatives, blanks and quotes around it are left out.
        let cleaned: String = raw
            .trim()
            .replace(',', "|")
            .chars()
            .filter(|c| *c != ' ')
            .collect();
        let cleaned = cleaned.trim_matches(['"', '\'']);
        if has_possessive_quantifier(cleaned) {
            return Err(format!(
                "`{raw}` cannot be evaluated as a regular expression: possessive quantifiers such as `*+` mean something else outside of Java"
            ));
        }
        let expression = regex::RegexBuilder::new(&format!("^(?:{cleaned})$"))
            .size_limit(1 << 20)
            .build()
            .map_err(|error| cannot_evaluate(raw, &error))?;
        Ok(Self { expression, listed })
    }

    /// Whether a topic is consumed.
    pub fn allows(&self, topic: &str) -> bool {
        !INTERNAL_TOPICS.contains(&topic) && self.expression.is_match(topic) == self.listed
    }
}

/// Whether a quantifier is followed by a plus, which this engine would take for a second quantifier.
fn has_possessive_quantifier(expression: &str) -> bool {
    let (mut quantified, mut escaped, mut class) = (false, false, 0_u32);
    for c in expression.chars() {
        if std::mem::take(&mut escaped) {
            quantified = false;
            continue;
        }
        match c {
            '\\' => escaped = true,
            '[' => class += 1,
            ']' => class = class.saturating_sub(1),
            '+' if quantified && class == 0 => return true,
            _ => {}
        }
        quantified = class == 0 && matches!(c, '*' | '+' | '?' | '}');
    }
    false
}

/// The engine draws a picture of several lines; its last one says what is wrong.
fn cannot_evaluate(expression: &str, error: &regex::Error) -> String {
    let error = error.to_string();
    let why = error.lines().last().unwrap_or_default();
    let why = why.trim_start_matches("error: ");
    format!("`{expression}` cannot be evaluated as a regular expression: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_names_as_java_does() {
        let filter = TopicFilter::white_list(" \"orders, click.\" ").unwrap();
        for (topic, allowed) in [
            ("orders", true),
            ("clicks", true),
            ("click", false),
            ("orders2", false),
            ("myorders", false),
        ] {
            assert_eq!(filter.allows(topic), allowed, "{topic}");
        }
    }

    #[test]
    fn a_black_list_leaves_out_what_it_names_and_internal_topics() {
        let filter = TopicFilter::black_list("orders|clicks").unwrap();
        assert!(filter.allows("visits"));
        assert!(!filter.allows("orders"));
        assert!(!filter.allows("__consumer_offsets"));
    }

    #[test]
    fn takes_a_plus_for_what_it_is() {
        for (expression, topic) in [
            ("a+", "aa"),
            (r"a\+", "a+"),
            (r"[*+]+", "*+"),
            (r"\*+", "**"),
        ] {
            let filter = TopicFilter::white_list(expression).unwrap();
            assert!(filter.allows(topic), "{expression}");
        }
    }

    #[test]
    fn refuses_what_only_java_can_evaluate() {
        for expression in ["(?=a)b", r"(a)\1", "a(", "x*+y", "x++", "x?+", "x{2}+"] {
            assert!(TopicFilter::white_list(expression).is_err(), "{expression}");
        }
    }
}
