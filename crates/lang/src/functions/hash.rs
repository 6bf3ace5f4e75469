//! Digests of text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coxswain_model::Type;
use sha2::Digest as _;

use super::arguments::{param, string, text};
use super::{BASE, FnSpec, Param};

const TEXT: Param = param("text", string);

pub(super) static BASE64SHA256: FnSpec = FnSpec {
    name: "base64sha256",
    params: &[TEXT],
    result: |_| Type::Str,
    call: |args| Ok(STANDARD.encode(sha2::Sha256::digest(text(args, 0)?)).into()),
    doc: "The SHA-256 digest of the text in UTF-8, in base 64.",
    example: (r#"base64sha256("a")"#, r#""ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=""#),
    ..BASE
};

pub(super) static BASE64SHA512: FnSpec = FnSpec {
    name: "base64sha512",
    params: &[TEXT],
    result: |_| Type::Str,
    call: |args| Ok(STANDARD.encode(sha2::Sha512::digest(text(args, 0)?)).into()),
    doc: "The SHA-512 digest of the text in UTF-8, in base 64.",
    example: (
        r#"base64sha512("")"#,
        r#""z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==""#,
    ),
    ..BASE
};

pub(super) static MD5: FnSpec = FnSpec {
    name: "md5",
    params: &[TEXT],
    result: |_| Type::Str,
    call: |args| Ok(hex::encode(md5::Md5::digest(text(args, 0)?)).into()),
    doc: "The MD5 digest of the text in UTF-8, in hexadecimal.",
    example: (r#"md5("a")"#, r#""0cc175b9c0f1b6a831c399e269772661""#),
    ..BASE
};

pub(super) static SHA1: FnSpec = FnSpec {
    name: "sha1",
    params: &[TEXT],
    result: |_| Type::Str,
    call: |args| Ok(hex::encode(sha1::Sha1::digest(text(args, 0)?)).into()),
    doc: "The SHA-1 digest of the text in UTF-8, in hexadecimal.",
    example: (r#"sha1("a")"#, r#""86f7e437faa5a7fce15d1ddcb9eaeaea377667b8""#),
    ..BASE
};

pub(super) static SHA256: FnSpec = FnSpec {
    name: "sha256",
    params: &[TEXT],
    result: |_| Type::Str,
    call: |args| Ok(hex::encode(sha2::Sha256::digest(text(args, 0)?)).into()),
    doc: "The SHA-256 digest of the text in UTF-8, in hexadecimal.",
    example: (r#"sha256("a")"#, r#""ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb""#),
    ..BASE
};

pub(super) static SHA512: FnSpec = FnSpec {
    name: "sha512",
    params: &[TEXT],
    result: |_| Type::Str,
    call: |args| Ok(hex::encode(sha2::Sha512::digest(text(args, 0)?)).into()),
    doc: "The SHA-512 digest of the text in UTF-8, in hexadecimal.",
    example: (r#"substr(sha512(""), 0, 32)"#, r#""cf83e1357eefb8bdf1542850d66d8007""#),
    ..BASE
};
