//! Encryption of what must not lie in Git in clear, for the owners of age keys (C2SP `age`, X25519 recipients).

use std::io::Write as _;

use age::armor::{ArmoredWriter, Format};
use age::x25519::Recipient;

/// Encrypts for all of the recipients; each of them alone can read it.
///
/// # Errors
///
/// There is no recipient, or one of them is no public key; the reason is for people and names no content.
pub fn encrypt(plain: &[u8], recipients: &[String]) -> Result<Vec<u8>, String> {
    let recipients: Vec<Recipient> = recipients
        .iter()
        .map(|text| {
            text.parse().map_err(|why: &str| format!("a recipient is not a public key of age: {why}"))
        })
        .collect::<Result<_, String>>()?;
    let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).map_err(|error| error.to_string())?;
    let mut sealed = Vec::new();
    let armor =
        ArmoredWriter::wrap_output(&mut sealed, Format::AsciiArmor).map_err(|error| error.to_string())?;
    let mut writer = encryptor.wrap_output(armor).map_err(|error| error.to_string())?;
    writer.write_all(plain).map_err(|error| error.to_string())?;
    writer.finish().and_then(ArmoredWriter::finish).map_err(|error| error.to_string())?;
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn each_recipient_alone_can_read_it_and_nobody_else() {
        let (one, other) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
        let recipients = [one.to_public().to_string(), other.to_public().to_string()];
        let sealed = encrypt(b"password: hunter2\n", &recipients).unwrap();
        assert!(sealed.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n"));
        assert!(!String::from_utf8_lossy(&sealed).contains("hunter2"));
        for identity in [&one, &other] {
            let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(sealed.as_slice())).unwrap();
            let mut plain = String::new();
            let identity = identity as &dyn age::Identity;
            decryptor.decrypt(std::iter::once(identity)).unwrap().read_to_string(&mut plain).unwrap();
            assert_eq!(plain, "password: hunter2\n");
        }
        let stranger = age::x25519::Identity::generate();
        let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(sealed.as_slice())).unwrap();
        assert!(decryptor.decrypt(std::iter::once(&stranger as &dyn age::Identity)).is_err());
    }

    #[test]
    fn without_a_recipient_nothing_is_encrypted_and_nothing_is_returned() {
        assert!(encrypt(b"x", &[]).is_err());
        assert!(encrypt(b"x", &["age1wrong".to_owned()]).is_err());
    }
}
