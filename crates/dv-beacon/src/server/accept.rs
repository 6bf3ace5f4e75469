//! In which form a client sends, and wants to have.

use coxswain_dv_eth::client::Problem;

use super::route::Media;

/// The form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Wanted {
    Json,
    Ssz,
}

impl Wanted {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Wanted::Json => "application/json",
            Wanted::Ssz => "application/octet-stream",
        }
    }
}

/// What a client wants of an endpoint that has both: SSZ where it says so and does not like JSON better
/// (`Accept`, RFC 9110 §12.5.1). A client that takes neither gets JSON, which all read.
pub(crate) fn wanted(accept: Option<&str>) -> Wanted {
    let mut best = [None, None];
    for part in accept.unwrap_or_default().split(',') {
        let mut fields = part.split(';').map(str::trim);
        let place = match fields.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/octet-stream" => 0,
            "application/json" | "*/*" | "application/*" => 1,
            _ => continue,
        };
        let weight = fields.find_map(|field| field.strip_prefix("q=")?.trim().parse::<f32>().ok());
        let weight = weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(1.0);
        best[place] = best[place].max(Some(weight).map(|weight| (weight * 1000.0) as u32));
    }
    match best {
        [Some(ssz), json] if ssz > 0 && json.is_none_or(|json| ssz >= json) => Wanted::Ssz,
        _ => Wanted::Json,
    }
}

/// The form of a request's body.
///
/// # Errors
/// The endpoint reads no such bodies.
pub(crate) fn sent(content_type: Option<&str>, media: Media) -> Result<Wanted, Problem> {
    let kind = content_type.unwrap_or_default();
    if kind.is_empty() || kind.contains("application/json") {
        return Ok(Wanted::Json);
    }
    if !kind.contains("application/octet-stream") {
        let kind: String = kind.chars().filter(|c| !c.is_control()).take(80).collect();
        return Err(Problem::new(
            415,
            format!("bodies of the type `{kind}` are not read; send application/json"),
        ));
    }
    match media {
        Media::JsonOrSsz => Ok(Wanted::Ssz),
        Media::Json => Err(Problem::new(415, "this endpoint reads no SSZ; send application/json")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_an_answer_is_what_the_client_likes_best() {
        for (accept, expected) in [
            (None, Wanted::Json),
            (Some(""), Wanted::Json),
            (Some("*/*"), Wanted::Json),
            (Some("application/json"), Wanted::Json),
            (Some("text/html"), Wanted::Json),
            (Some("application/octet-stream"), Wanted::Ssz),
            (Some("application/octet-stream;q=1,application/json;q=0.9"), Wanted::Ssz),
            (Some("application/octet-stream;q=1.0, application/json;q=0.9"), Wanted::Ssz),
            (Some("application/json;q=0.9, application/octet-stream"), Wanted::Ssz),
            (Some("application/json, application/octet-stream;q=0.5"), Wanted::Json),
            (Some("application/json;q=0.5,application/octet-stream;q=0.4"), Wanted::Json),
            (Some("application/octet-stream;q=0"), Wanted::Json),
            (Some("application/octet-stream;q=x"), Wanted::Ssz),
            (Some("application/octet-stream;q=NaN, application/json;q=0.9"), Wanted::Ssz),
        ] {
            assert_eq!(wanted(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn bodies_of_other_types_are_refused() {
        assert_eq!(sent(None, Media::Json), Ok(Wanted::Json));
        assert_eq!(sent(Some("application/json; charset=utf-8"), Media::Json), Ok(Wanted::Json));
        assert_eq!(sent(Some("application/octet-stream"), Media::JsonOrSsz), Ok(Wanted::Ssz));
        for (kind, media) in [("application/octet-stream", Media::Json), ("text/plain", Media::JsonOrSsz)] {
            assert_eq!(sent(Some(kind), media).expect_err(kind).status, 415);
        }
    }
}
