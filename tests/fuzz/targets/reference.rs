//! A second reader of HTTP/1.1, written from RFC 9112 independently of the first. It reads complete input, favors
//! clarity over speed, and rejects whatever is ambiguous.

/// A request or response as sent.
#[derive(Debug)]
pub(super) struct Message<'a> {
    /// The three parts of the first line.
    pub(super) line: [&'a [u8]; 3],
    /// The fields, with names in lower case.
    pub(super) fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The framing of the body according to the fields.
    pub(super) framing: Framing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Absent,
    Length(u64),
    Chunked,
}

impl<'a> Message<'a> {
    /// Reads the message at the beginning of `input` and returns it with the bytes after its head.
    pub(super) fn read(mut input: &'a [u8]) -> Option<(Self, &'a [u8])> {
        while let Some(rest) = input.strip_prefix(b"\r\n") {
            input = rest;
        }
        let end = find(input, b"\r\n\r\n")?;
        let (head, rest) = (&input[..end], &input[end + 4..]);
        let mut lines = split(head, b"\r\n").into_iter();
        let line = lines.next()?;
        let fields = lines.map(read_field).collect::<Option<Vec<_>>>()?;
        if has_control(line) {
            return None;
        }
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let line = [words.next()?, words.next()?, words.next().unwrap_or_default()];
        let framing = read_framing(&fields)?;
        Some((Self { line, fields, framing }, rest))
    }

    /// Returns the values of a field.
    pub(super) fn all(&self, name: &str) -> Vec<&[u8]> {
        all(&self.fields, name)
    }

    /// Reports whether `Connection` contains an option.
    pub(super) fn connection_has(&self, option: &str) -> bool {
        let options = self.all("connection").join(&b","[..]).to_ascii_lowercase();
        options.split(|byte| *byte == b',').any(|have| have.trim_ascii() == option.as_bytes())
    }

    /// Reads the body at the beginning of `rest` and returns it with the bytes after it.
    pub(super) fn body(&self, rest: &'a [u8]) -> Option<(Vec<u8>, &'a [u8])> {
        match self.framing {
            Framing::Absent => Some((Vec::new(), rest)),
            Framing::Length(length) => {
                let (body, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                Some((body.to_vec(), rest))
            }
            Framing::Chunked => read_chunks(rest),
        }
    }
}

fn all<'f>(fields: &'f [(Vec<u8>, Vec<u8>)], name: &str) -> Vec<&'f [u8]> {
    fields.iter().filter(|(have, _)| have == name.as_bytes()).map(|(_, value)| &**value).collect()
}

fn read_field(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    let good = is_token(name) && !has_control(value);
    good.then(|| (name.to_ascii_lowercase(), value[start..end].to_vec()))
}

fn read_framing(fields: &[(Vec<u8>, Vec<u8>)]) -> Option<Framing> {
    match (&*all(fields, "content-length"), &*all(fields, "transfer-encoding")) {
        ([], []) => Some(Framing::Absent),
        ([length], []) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(length).ok()?.parse().ok().map(Framing::Length)
        }
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Some(Framing::Chunked),
        _ => None,
    }
}

fn read_chunks(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let line;
        (line, rest) = take_line(rest)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = usize::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()?;
        let extension = line[digits..].trim_ascii_start();
        if has_control(line) || !(digits == line.len() || extension.starts_with(b";")) {
            return None;
        }
        if size == 0 {
            break;
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
    loop {
        let line;
        (line, rest) = take_line(rest)?;
        if line.is_empty() {
            return Some((body, rest));
        }
        read_field(line)?;
    }
}

/// Takes a line that ends in CRLF and contains no other LF.
fn take_line(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = find(input, b"\r\n")?;
    let line = &input[..end];
    (!line.contains(&b'\n')).then(|| (line, &input[end + 2..]))
}

pub(super) fn find(input: &[u8], what: &[u8]) -> Option<usize> {
    input.windows(what.len()).position(|window| window == what)
}

fn split<'a>(mut input: &'a [u8], at: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(end) = find(input, at) {
        parts.push(&input[..end]);
        input = &input[end + at.len()..];
    }
    parts.push(input);
    parts
}

fn has_control(text: &[u8]) -> bool {
    text.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f)
}

pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}
