//! Reads prefixes with placeholders, and checks that no two identities can get the same one.

use super::reader::{At, Reader, quoted};
use super::table::Table;
use crate::authorize::homes::{HomeScope, Homes, issuer_of};
use crate::authorize::mapping::{Mapping, MintWhen};
use crate::authorize::template::{IdentityName, Segment, Source, SpiffeRoot, Template};
use crate::identify::matcher::Matcher;
use crate::s3::names::Prefix;
use std::collections::HashMap;
use std::num::NonZeroUsize;

/// The number of identities of a mapping with sessions at once, unless it says otherwise.
const IDENTITIES: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// The most identities of all mappings. With nine sessions each, they leave half of the session table to mappings.
const MAX_ALL_IDENTITIES: usize = 20_000;

/// Reads a prefix. If it has placeholders, the prefix that is returned is that of an example.
pub(super) fn read_prefix(
    text: At<&str>,
    client: Option<&Matcher>,
    reader: &Reader<'_>,
) -> Option<(Prefix, Option<Template>)> {
    // If the client has a mistake, its issuer is not known.
    let issuer = client.map_or(Some("issuer"), issuer_of);
    let template = text.parse_with(reader, "is not a prefix", |text| Template::parse(text, issuer))?;
    let Some(template) = template else {
        return text.parse_with(reader, "is not a prefix", Prefix::parse_typed).map(|prefix| (prefix, None));
    };
    if let Some(client) = client {
        check_sources(&template, text, client, reader)?;
    }
    template.example().ok().map(|prefix| (prefix, Some(template)))
}

/// Checks that every client of a mapping has a value for each placeholder, as far as the configuration says.
fn check_sources(template: &Template, text: At<&str>, client: &Matcher, reader: &Reader<'_>) -> Option<()> {
    for source in template.sources() {
        if !source.is_provided_by(client) {
            let key = source.provider();
            let message =
                format!("{source} is not known of all clients of this mapping: its client has no {key}");
            reader.error(text.span, message, format!("add {key} to client, or use another placeholder"));
            return None;
        }
        for name in source.listed(client) {
            if let Err(why) = IdentityName::parse(name) {
                let message = format!("{} cannot be the value of {source}: {why}", quoted(name));
                let help = "rename it, or give it a mapping of its own with a prefix without placeholders";
                reader.error(text.span, message, help);
                return None;
            }
        }
    }
    if template.sources().any(|source| matches!(source, Source::Spiffe(_))) {
        let several = "the SPIFFE ids of this mapping's client have several trust domains, so a segment names several identities";
        let help = "make a mapping for each trust domain, with a prefix of its own";
        let checked = SpiffeRoot::of(client)
            .ok_or_else(|| (several.to_owned(), help.to_owned()))
            .and_then(|root| root.check(template));
        checked.map_err(|(message, help)| reader.error(text.span, message, help)).ok()?;
    }
    Some(())
}

/// Reads what concerns identities, if a scope has a template. Returns `None` if there is a mistake.
#[expect(clippy::option_option, reason = "a mistake differs from a mapping without homes")]
pub(super) fn read_homes(
    table: &Table<'_>,
    client: Option<&Matcher>,
    scopes: Option<&[HomeScope]>,
    mint: Option<MintWhen>,
) -> Option<Option<Homes>> {
    let identities = table.number::<usize>("identities");
    let is_wrong = identities.is_none() && table.span_of("identities").is_some();
    let scopes = scopes?;
    let reader = table.reader();
    if scopes.iter().all(|scope| scope.template.is_none()) {
        if let Some(span) = table.span_of("identities") {
            let help = "remove it, or write a placeholder, such as prefix = \"home/{user}/\"";
            reader.error(
                Some(span),
                "identities has no effect: no prefix of this mapping has a placeholder",
                help,
            );
        }
        return Some(None);
    }
    if mint == Some(MintWhen::Start) {
        let message = "mint = \"start\" has no effect: the identities of this mapping are not known before they send requests";
        reader.error(table.span_of("mint"), message, "remove it");
        return None;
    }
    let identities = identities.and_then(NonZeroUsize::new).unwrap_or(IDENTITIES);
    let homes = Homes::new(scopes.to_vec(), client?, identities);
    if let Err(why) = homes.expand(&homes.longest(client?)) {
        let message = format!("with the longest names of identities a prefix is invalid: {why}");
        reader.error(table.span(), message, "shorten the prefix");
        return None;
    }
    (!is_wrong).then_some(Some(homes))
}

/// Notes templates of which two identities could get overlapping prefixes, and too many identities in all.
pub(super) fn check(mappings: &[At<Mapping>], reader: &Reader<'_>) {
    check_count(mappings, reader);
    let mut folders = HashMap::new();
    for mapping in mappings {
        let Some(homes) = &mapping.value.homes else { continue };
        for HomeScope { scope, template } in homes.scopes() {
            let Some(template) = template else { continue };
            let found = add(&mut folders, scope.bucket.as_str(), homes, template, &mapping.value.name);
            if let Some(Clash { place, one, other, whose }) = found {
                let message = format!(
                    "below {place} there would be folders of {one} of the mapping {whose:?} and of {other}, and one identity \
                     could have the name of another's folder"
                );
                let help =
                    "give each its own folder above, such as \"users/{user}/\" and \"{issuer}/{sub}/\"";
                reader.error(mapping.span, message, help);
                break;
            }
        }
    }
}

fn check_count(mappings: &[At<Mapping>], reader: &Reader<'_>) {
    let mut count = 0;
    for mapping in mappings {
        let Some(homes) = &mapping.value.homes else { continue };
        count += homes.identities().get();
        if count > MAX_ALL_IDENTITIES {
            let message = format!("the mappings have more than {MAX_ALL_IDENTITIES} identities in all");
            let help = format!(
                "write fewer, such as identities = 100, in some of the mappings; without the key a mapping has {IDENTITIES}"
            );
            reader.error(mapping.span, message, help);
            return;
        }
    }
}

/// What the templates so far have in one folder.
#[derive(Default)]
struct Folder<'m> {
    /// A placeholder, with the first mapping that has it here.
    placeholder: Option<(String, &'m str)>,
    /// A fixed name that an identity could have as well, with the first mapping that has it here.
    fixed: Option<(String, &'m str)>,
}

struct Clash<'m> {
    place: String,
    one: String,
    other: String,
    whose: &'m str,
}

/// Adds a template. Beside a placeholder there may only be the same placeholder, and fixed names that are no identity's.
fn add<'m>(
    folders: &mut HashMap<String, Folder<'m>>,
    bucket: &str,
    homes: &Homes,
    template: &Template,
    mapping: &'m str,
) -> Option<Clash<'m>> {
    let mut place = format!("{bucket}/");
    // Slashes divide fixed segments; a zero byte marks placeholders, whose text a fixed name could have.
    let mut key = place.clone();
    for segment in template.segments() {
        let described = homes.describe(segment, template);
        let folder = folders.entry(key.clone()).or_default();
        let clash = match segment {
            Segment::Value(Source::Account) => None,
            Segment::Value(_) => {
                let other = folder.placeholder.as_ref().filter(|(other, _)| *other != described);
                let other = other.or(folder.fixed.as_ref()).cloned();
                folder.placeholder.get_or_insert_with(|| (described.clone(), mapping));
                key.push('\0');
                other
            }
            Segment::Fixed(name) if IdentityName::parse(name).is_ok() => {
                folder.fixed.get_or_insert_with(|| (format!("{described:?}"), mapping));
                folder.placeholder.clone()
            }
            Segment::Fixed(_) => None,
        };
        if let Some((one, whose)) = clash {
            return Some(Clash { place, one, other: described, whose });
        }
        place = format!("{place}{described}/");
        key = format!("{key}{described}/");
    }
    None
}

#[cfg(test)]
mod tests;
