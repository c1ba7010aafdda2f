//! Reads TOML tables key by key and collects every fault instead of stopping at the first.
//!
//! A reader asks a [`Table`] for each key it knows, by name and with an example of a good value. What is missing, of the
//! wrong type or in the wrong unit becomes a [`Fault`] at its place; [`Table::finish`] reports the keys nobody asked for.

use std::{
    cell::{Cell, RefCell},
    ops::{Range, RangeInclusive},
    time::Duration,
};

use rules::units::{Unit, UnitError};
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use crate::{
    fault::{Fault, Source},
    secret::{self, Resolve},
};

/// The faults found so far in one text.
#[derive(Debug)]
pub struct Faults<'a> {
    source: &'a Source,
    found: RefCell<Vec<Fault>>,
    hidden: RefCell<Vec<Range<usize>>>,
}

impl<'a> Faults<'a> {
    pub fn new(source: &'a Source) -> Self {
        Self { source, found: RefCell::default(), hidden: RefCell::default() }
    }

    /// Keeps a part of the text, a secret, out of everything that is shown of it.
    pub fn hide(&self, span: Range<usize>) {
        self.hidden.borrow_mut().push(span);
    }

    pub fn add(&self, span: Range<usize>, message: impl Into<String>, remedy: impl Into<String>) {
        self.found.borrow_mut().push(Fault {
            source: self.source.clone(),
            span,
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// Takes over faults of other texts, for example of a profile that this one names.
    pub fn extend(&self, faults: impl IntoIterator<Item = Fault>) {
        self.found.borrow_mut().extend(faults);
    }

    pub fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// All of them, in the order of the text. Secrets in the text are blotted out.
    pub fn into_vec(self) -> Vec<Fault> {
        let mut found = self.found.into_inner();
        let hidden = self.hidden.into_inner();
        if !hidden.is_empty() {
            let shown = blot_out(self.source, &hidden);
            for fault in found.iter_mut().filter(|fault| fault.source == *self.source) {
                fault.source = shown.clone();
            }
        }
        found.sort_by(|a, b| (&a.source.name, a.span.start).cmp(&(&b.source.name, b.span.start)));
        found
    }
}

/// The text with a star for each hidden byte, so that places stay where they are.
fn blot_out(source: &Source, hidden: &[Range<usize>]) -> Source {
    let mut text = source.text.to_string();
    for span in hidden {
        if text.get(span.clone()).is_some() {
            text.replace_range(span.clone(), &"*".repeat(span.len()));
        }
    }
    Source { name: source.name.clone(), text: text.into() }
}

/// Parses a text, reporting every syntax fault; what could be understood is returned all the same.
pub fn parse<'a>(source: &'a Source, faults: &Faults<'_>) -> Spanned<DeTable<'a>> {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    let end = source.text.len();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let remedy = if error.message().contains("quoted") {
            "put the text in quotes: key = \"value\""
        } else if error.message().contains("duplicate") {
            "give each key once; lists of things are written as [[table]]"
        } else {
            "write it as TOML: key = value, text in \"quotes\", one key per line"
        };
        faults.add(span.start.min(end)..span.end.min(end), error.message(), remedy);
    }
    document
}

/// A value with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct At<T> {
    pub value: T,
    pub span: Range<usize>,
}

/// One TOML table being read.
#[derive(Debug)]
pub struct Table<'a> {
    faults: &'a Faults<'a>,
    entries: &'a DeTable<'a>,
    span: Range<usize>,
    /// How messages call it: `rack "r1"`.
    title: String,
    asked: RefCell<Vec<&'static str>>,
    sound: Cell<bool>,
}

impl<'a> Table<'a> {
    pub fn new(
        faults: &'a Faults<'a>,
        entries: &'a DeTable<'a>,
        span: Range<usize>,
        title: impl Into<String>,
    ) -> Self {
        Self {
            faults,
            entries,
            span,
            title: title.into(),
            asked: RefCell::default(),
            sound: Cell::new(true),
        }
    }

    /// The place of its header, for faults about the whole table.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    /// False once a fault was found in this table.
    pub fn is_sound(&self) -> bool {
        self.sound.get()
    }

    /// Counts a fault in a table below this one as a fault of this one.
    pub fn doubt(&self) {
        self.sound.set(false);
    }

    pub fn fault(&self, span: Range<usize>, message: impl Into<String>, remedy: impl Into<String>) {
        self.sound.set(false);
        self.faults.add(span, message, remedy);
    }

    /// Keeps a part of the text, a secret, out of everything that is shown of it.
    pub fn hide(&self, span: Range<usize>) {
        self.faults.hide(span);
    }

    /// True where the key is written, whatever its value.
    pub fn has(&self, key: &'static str) -> bool {
        self.entries.contains_key(key)
    }

    /// Counts keys as known that could not be looked at, so that one fault does not bring on others.
    pub fn ask(&self, keys: &[&'static str]) {
        self.asked.borrow_mut().extend(keys);
    }

    /// A value of any type, for the few keys that know several.
    pub fn value(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().push(key);
        self.entries.get(key)
    }

    /// Reports that a required key is not there. `example` is a whole value as written in the file.
    fn missing(&self, key: &'static str, example: &str) {
        self.fault(
            self.span(),
            format!("{} has no \"{key}\"", self.title),
            format!("add it, for example: {key} = {example}"),
        );
    }

    fn wrong_type(&self, key: &'static str, value: &Spanned<DeValue<'_>>, example: &str) {
        self.fault(
            value.span(),
            format!("\"{key}\" cannot be {}", type_word(value.get_ref())),
            format!("write it like this: {key} = {example}"),
        );
    }

    /// Text. `example` is shown with quotes.
    pub fn text(&self, key: &'static str, example: &str) -> Option<At<&'a str>> {
        let value = self.value(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(key, value, &format!("\"{example}\""));
            return None;
        };
        if text.trim().is_empty() {
            self.fault(
                value.span(),
                format!("\"{key}\" is empty"),
                format!("write it like this: {key} = \"{example}\""),
            );
            return None;
        }
        Some(At { value: text, span: value.span() })
    }

    pub fn required_text(&self, key: &'static str, example: &str) -> Option<At<&'a str>> {
        self.require(key, &format!("\"{example}\""))?;
        self.text(key, example)
    }

    fn require(&self, key: &'static str, example: &str) -> Option<()> {
        if self.has(key) {
            return Some(());
        }
        self.asked.borrow_mut().push(key);
        self.missing(key, example);
        None
    }

    /// A number with a unit, given in the unit of `example`. Below zero is refused, except for a place on the
    /// temperature scale.
    pub fn quantity(&self, key: &'static str, example: &str) -> Option<f64> {
        let text = self.text(key, example)?;
        let unit =
            rules::units::split_quantity(example).and_then(|(_, unit)| Unit::parse(unit).ok())?;
        let number = match unit.read(text.value, example) {
            Ok(number) => number,
            Err(error) => {
                let remedy = match &error {
                    UnitError::NotAQuantity(_) | UnitError::Unknown(_) => {
                        format!("write a number and its unit: {key} = \"{example}\"")
                    }
                    UnitError::Mismatch { .. } => {
                        format!(
                            "give \"{key}\" in {unit} or a unit of its kind: {key} = \"{example}\""
                        )
                    }
                };
                self.fault(text.span, format!("\"{key}\": {error}"), remedy);
                return None;
            }
        };
        if number < 0.0 && !unit.dimension().absolute {
            self.fault(
                text.span,
                format!("\"{key}\" is below zero"),
                format!("write it like this: {key} = \"{example}\""),
            );
            return None;
        }
        Some(number)
    }

    pub fn required_quantity(&self, key: &'static str, example: &str) -> Option<f64> {
        self.require(key, &format!("\"{example}\""))?;
        self.quantity(key, example)
    }

    /// A quantity that divides or bounds something: zero is refused too.
    pub fn positive(&self, key: &'static str, example: &str) -> Option<f64> {
        let number = self.quantity(key, example)?;
        if number > 0.0 {
            return Some(number);
        }
        self.fault(
            self.place(key),
            format!("\"{key}\" is zero"),
            format!("write it like this: {key} = \"{example}\""),
        );
        None
    }

    pub fn required_positive(&self, key: &'static str, example: &str) -> Option<f64> {
        self.require(key, &format!("\"{example}\""))?;
        self.positive(key, example)
    }

    /// A length of time above zero and at most a year, such as `"500 ms"`.
    pub fn duration(&self, key: &'static str, example: &str) -> Option<Duration> {
        const YEAR_S: f64 = 366.0 * 86_400.0;
        let text = self.text(key, example)?;
        let unit = Unit::parse("s").ok()?;
        let seconds = match unit.read(text.value, example) {
            Ok(seconds) => seconds,
            Err(error) => {
                self.fault(
                    text.span,
                    format!("\"{key}\": {error}"),
                    format!("write a number with ms, s, min, h or d: {key} = \"{example}\""),
                );
                return None;
            }
        };
        if seconds > 0.0 && seconds <= YEAR_S {
            return Some(Duration::from_secs_f64(seconds));
        }
        self.fault(
            text.span,
            format!("\"{key}\" must be above zero and at most a year"),
            format!("write it like this: {key} = \"{example}\""),
        );
        None
    }

    /// A whole number within `range`.
    pub fn integer(
        &self,
        key: &'static str,
        range: RangeInclusive<u32>,
        example: &str,
    ) -> Option<u32> {
        let value = self.value(key)?;
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong_type(key, value, example);
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| range.contains(number));
        if number.is_none() {
            self.fault(
                value.span(),
                format!("\"{key}\" must lie between {} and {}", range.start(), range.end()),
                format!("write it like this: {key} = {example}"),
            );
        }
        number
    }

    pub fn required_integer(
        &self,
        key: &'static str,
        range: RangeInclusive<u32>,
        example: &str,
    ) -> Option<u32> {
        self.require(key, example)?;
        self.integer(key, range, example)
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(key, value, "true");
        }
        flag
    }

    /// A calendar day, in quotes or not; given back as ISO 8601.
    pub fn date(&self, key: &'static str) -> Option<String> {
        const EXAMPLE: &str = "2026-03-14";
        let value = self.value(key)?;
        let date = match value.get_ref() {
            DeValue::Datetime(moment) => Some(*moment),
            DeValue::String(text) => text.trim().parse().ok(),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong_type(key, value, EXAMPLE);
                return None;
            }
        };
        let day = date.filter(|moment: &toml::value::Datetime| moment.time.is_none());
        if day.is_none() {
            self.fault(
                value.span(),
                format!("\"{key}\" is not a calendar day"),
                format!("write year, month and day: {key} = {EXAMPLE}"),
            );
        }
        Some(day?.to_string())
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let example = words.first().map_or("", |(word, _)| word);
        let text = self.text(key, example)?;
        let found = words.iter().find(|(word, _)| *word == text.value).map(|(_, meaning)| *meaning);
        if found.is_none() {
            self.fault(
                text.span,
                format!("\"{key}\" cannot be \"{}\"", text.value),
                choice_remedy(words),
            );
        }
        found
    }

    pub fn required_choice<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.require(key, &format!("\"{}\"", words.first().map_or("", |(word, _)| word)))?;
        self.choice(key, words)
    }

    /// A secret, which the file only refers to: `"${file:/etc/coldwatch/broker}"`.
    pub fn secret(&self, key: &'static str, resolve: Resolve<'_>) -> Option<String> {
        let value = self.value(key)?;
        let text = value.get_ref().as_str();
        let Some(reference) = text.and_then(secret::reference) else {
            self.written_secret(key, value.span());
            return None;
        };
        match resolve(reference) {
            Ok(secret) => Some(secret),
            Err(why) => {
                self.fault(
                    value.span(),
                    format!("the secret of \"{key}\" is not to be had: {why}"),
                    "put it where the reference says, readable for the user that runs coldwatch",
                );
                None
            }
        }
    }

    fn written_secret(&self, key: &str, span: Range<usize>) {
        self.faults.hide(span.clone());
        self.fault(
            span,
            format!("a secret is written into the file, in \"{key}\""),
            format!("refer to it: {key} = \"${{file:/etc/coldwatch/{key}}}\" or \"${{env:NAME}}\""),
        );
    }

    /// A list of texts; one text alone is a list of one. Empty where the key is absent.
    pub fn texts(&self, key: &'static str, example: &str) -> Vec<At<&'a str>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let example = format!("[\"{example}\"]");
        let one = |item: &'a Spanned<DeValue<'a>>| {
            let text = item.get_ref().as_str();
            if text.is_none() {
                self.wrong_type(key, item, &example);
            }
            text.map(|text| At { value: text, span: item.span() })
        };
        match value.get_ref() {
            DeValue::String(_) => one(value).into_iter().collect(),
            DeValue::Array(items) => items.iter().filter_map(one).collect(),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                self.wrong_type(key, value, &example);
                Vec::new()
            }
        }
    }

    /// A table under this one: `[site]` or `coolant = { … }`.
    pub fn table(&self, key: &'static str, example: &str) -> Option<Table<'a>> {
        let value = self.value(key)?;
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong_type(key, value, example);
            return None;
        };
        Some(Table::new(self.faults, entries, value.span(), format!("\"{key}\"")))
    }

    /// The tables of a list: each `[[rack]]`.
    pub fn tables(&self, key: &'static str) -> Vec<Table<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let wrong = |value: &Spanned<DeValue<'_>>| {
            self.fault(
                value.span(),
                format!(
                    "\"{key}\" is a list of tables and cannot be {}",
                    type_word(value.get_ref())
                ),
                format!("begin each one with a line of its own: [[{key}]]"),
            );
        };
        let Some(items) = value.get_ref().as_array() else {
            wrong(value);
            return Vec::new();
        };
        let table = |item: &'a Spanned<DeValue<'a>>| {
            let Some(entries) = item.get_ref().as_table() else {
                wrong(item);
                return None;
            };
            let id =
                ["id", "quantity"].iter().find_map(|name| entries.get(*name)?.get_ref().as_str());
            let title = id.map_or_else(|| format!("this {key}"), |id| format!("{key} \"{id}\""));
            Some(Table::new(self.faults, entries, item.span(), title))
        };
        items.iter().filter_map(table).collect()
    }

    /// A finite number, with or without a fraction.
    pub fn number(&self, key: &'static str, example: &str) -> Option<At<f64>> {
        let value = self.value(key)?;
        let number = number(value.get_ref());
        if number.is_none() {
            self.wrong_type(key, value, example);
        }
        number.map(|number| At { value: number, span: value.span() })
    }

    /// A list of values of one type, read by `read`; `None` where the key is absent or an item is wrong.
    pub fn list<T>(
        &self,
        key: &'static str,
        example: &str,
        read: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> Option<At<Vec<T>>> {
        let value = self.value(key)?;
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type(key, value, example);
            return None;
        };
        let (mut read_items, mut sound) = (Vec::new(), true);
        for item in items {
            if let Some(item) = read(item.get_ref()) {
                read_items.push(item);
            } else {
                sound = false;
                self.wrong_type(key, item, example);
            }
        }
        sound.then_some(At { value: read_items, span: value.span() })
    }

    /// The entries of a table whose keys are free, such as `states = { 0 = "Off" }`. Empty where the key is absent.
    pub fn entries(
        &self,
        key: &'static str,
        example: &str,
    ) -> Vec<(At<&'a str>, &'a Spanned<DeValue<'a>>)> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong_type(key, value, example);
            return Vec::new();
        };
        let entry = |(name, value): (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>)| {
            (At { value: name.get_ref().as_ref(), span: name.span() }, value)
        };
        entries.iter().map(entry).collect()
    }

    /// The place of a key's value, or of the table where the key is absent.
    pub fn place(&self, key: &str) -> Range<usize> {
        self.entries.get(key).map_or_else(|| self.span(), Spanned::span)
    }

    /// Reports every key that was not asked for, with the nearest one that was.
    pub fn finish(&self) {
        let asked = self.asked.borrow();
        for (key, value) in self.entries {
            let name = key.get_ref().as_ref();
            if asked.contains(&name) {
                continue;
            }
            let literal = value.get_ref().as_str().filter(|text| secret::reference(text).is_none());
            if literal.is_some() && secret::is_secret_key(name) {
                self.written_secret(name, value.span());
                continue;
            }
            let remedy = match nearest(name, asked.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("leave it out; known here: {}", asked.join(", ")),
            };
            self.faults.add(
                key.span(),
                format!("unknown key \"{name}\" in {}", self.title),
                remedy,
            );
        }
    }
}

fn choice_remedy<T>(words: &[(&str, T)]) -> String {
    let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    format!("write one of {}", words.join(", "))
}

/// A finite number, with or without a fraction.
pub fn number(value: &DeValue<'_>) -> Option<f64> {
    let text = match value {
        DeValue::Float(float) => float.as_str(),
        #[expect(clippy::cast_precision_loss, reason = "no setting needs more than 53 bits")]
        DeValue::Integer(_) => return whole_number(value).map(|whole| whole as f64),
        _ => return None,
    };
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A whole number, in any of the radices that TOML knows.
pub fn whole_number(value: &DeValue<'_>) -> Option<i128> {
    let integer = value.as_integer()?;
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn type_word(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The known word that is most like `word`, where one is alike at all.
pub fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    /// Half of the letters in common keeps `colled_by` → `cooled_by` and drops `colour` → `row`.
    const ALIKE: f64 = 0.6;
    known
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
