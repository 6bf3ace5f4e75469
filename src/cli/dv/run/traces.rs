//! Where traces go, as flags say it.

use coxswain_dv_node::trace::{Collector, Tls};
use url::Url;

use super::super::super::error::CliError;
use crate::dv::http;

/// How gRPC writes names that are looked up.
const LOOKED_UP: &str = "dns:///";

/// The collector of `--otlp-address`; none where none is given. The flag is host and port, as charon has it, or a URL, whose
/// scheme then says whether there is TLS.
pub(super) fn collector(address: &str, headers: &[String], tls: Tls) -> Result<Option<Collector>, CliError> {
    if address.is_empty() {
        return Ok(None);
    }
    // What stands there may have a password in it: it is not repeated.
    let wrong = |why: String| {
        CliError::other("reading --otlp-address", why, "give host and port, like collector:4317")
    };
    let address = address.strip_prefix(LOOKED_UP).unwrap_or(address);
    let url = if address.contains("://") {
        http::parse_url(address)
    } else {
        http::parse_url(&format!("https://{address}"))
    };
    let url = url.map_err(wrong)?;
    if !url.username().is_empty() || url.password().is_some() {
        let next = "give what proves who you are with --otlp-headers";
        return Err(CliError::other("reading --otlp-address", "it has a user or a password in it", next));
    }
    if url.path() != "/" || url.query().is_some() {
        return Err(wrong("it has a path, and OTLP over gRPC has none".to_owned()));
    }
    let tls = if url.scheme() == "http" { Tls::Off } else { tls };
    let address = origin(&url).ok_or_else(|| wrong("it has no host".to_owned()))?;
    let headers = headers.iter().filter(|text| !text.is_empty()).map(|text| header(text));
    Ok(Some(Collector { address, tls, headers: headers.collect::<Result<_, _>>()? }))
}

fn origin(url: &Url) -> Option<String> {
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

fn header(text: &str) -> Result<(String, String), CliError> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        CliError::other(
            "reading --otlp-headers",
            "one has no `=`",
            "write NAME=VALUE, with commas between them",
        )
    })?;
    Ok((name.trim().to_lowercase(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, tls: Tls, expected: Option<(&str, Tls)>) {
        let found = collector(text, &[], tls).expect("an address");
        assert_eq!(found.as_ref().map(|one| (one.address.as_str(), one.tls)), expected);
    }

    #[test]
    fn addresses_are_those_of_grpc_or_urls() {
        check("", Tls::On, None);
        check("collector:4317", Tls::On, Some(("collector:4317", Tls::On)));
        check("collector:4317", Tls::Off, Some(("collector:4317", Tls::Off)));
        check("[::1]:4317", Tls::Off, Some(("[::1]:4317", Tls::Off)));
        check("dns:///collector:4317", Tls::On, Some(("collector:4317", Tls::On)));
        check("http://collector:4317", Tls::On, Some(("collector:4317", Tls::Off)));
        check("https://collector", Tls::On, Some(("collector:443", Tls::On)));
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_text() {
        for text in [
            "u:secret@collector:4317",
            "https://secret@collector",
            "ftp://secret",
            "secret port",
            "c:1/secret",
        ] {
            let error = collector(text, &[], Tls::On).err().expect("a refusal");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn headers_are_pairs() {
        let given = ["X-Token=a=b ".to_owned(), String::new()];
        let found = collector("c:1", &given, Tls::On).expect("headers").expect("a collector");
        assert_eq!(found.headers, [("x-token".to_owned(), "a=b".to_owned())]);
        let error = collector("c:1", &["secret".to_owned()], Tls::On).err().expect("a refusal");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}
