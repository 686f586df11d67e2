//! HTTP methods that S3 uses, and sets of them.

use http::{HeaderValue, Method};

/// A method of the table of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `PUT`
    Put,
    /// `POST`
    Post,
    /// `DELETE`
    Delete,
}

impl Verb {
    /// All verbs.
    pub const ALL: [Self; 5] = [Self::Get, Self::Head, Self::Put, Self::Post, Self::Delete];

    /// Returns the verb of a method, if the table uses it.
    pub fn of(method: &Method) -> Option<Self> {
        match *method {
            Method::GET => Some(Self::Get),
            Method::HEAD => Some(Self::Head),
            Method::PUT => Some(Self::Put),
            Method::POST => Some(Self::Post),
            Method::DELETE => Some(Self::Delete),
            _ => None,
        }
    }

    /// Returns the verb of this name, in capitals.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }

    /// Returns the method.
    pub const fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Head => Method::HEAD,
            Self::Put => Method::PUT,
            Self::Post => Method::POST,
            Self::Delete => Method::DELETE,
        }
    }

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// A set of verbs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verbs(u8);

impl Verbs {
    /// All verbs.
    pub const ALL: Self = Self((1 << Verb::ALL.len()) - 1);

    /// Returns whether the set contains a verb.
    pub const fn has(self, verb: Verb) -> bool {
        self.0 & (1 << verb as u8) != 0
    }

    /// Returns whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the set with another verb.
    #[must_use]
    pub const fn with(self, verb: Verb) -> Self {
        Self(self.0 | 1 << verb as u8)
    }

    /// Returns the verbs in order.
    pub fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::ALL.into_iter().filter(move |verb| self.has(*verb))
    }

    /// Returns the value of `Access-Control-Allow-Methods`, such as `GET, HEAD`.
    pub fn list(self) -> String {
        self.iter().map(Verb::name).collect::<Vec<_>>().join(", ")
    }

    /// Returns the value of `Allow`. `OPTIONS` is always allowed.
    pub fn allow(self) -> HeaderValue {
        let text = if self.is_empty() { "OPTIONS".to_owned() } else { self.list() + ", OPTIONS" };
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("OPTIONS"))
    }
}

impl FromIterator<Verb> for Verbs {
    fn from_iter<I: IntoIterator<Item = Verb>>(verbs: I) -> Self {
        verbs.into_iter().fold(Self::default(), Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_lists_its_verbs() {
        let set: Verbs = [Verb::Put, Verb::Get].into_iter().collect();
        assert_eq!((set.list(), set.allow()), ("GET, PUT".into(), "GET, PUT, OPTIONS".parse().unwrap()));
        assert!(set.has(Verb::Put) && !set.has(Verb::Head) && !set.is_empty());
        assert_eq!(Verbs::ALL.list(), "GET, HEAD, PUT, POST, DELETE");
        assert_eq!(Verbs::default().allow(), "OPTIONS");
    }

    #[test]
    fn names_are_those_of_methods() {
        for verb in Verb::ALL {
            assert_eq!((Verb::of(&verb.method()), Verb::named(verb.name())), (Some(verb), Some(verb)));
            assert_eq!(verb.method().as_str(), verb.name());
        }
        assert_eq!(Verb::named("get"), None);
    }
}
