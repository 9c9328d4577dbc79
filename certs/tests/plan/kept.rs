//! Storing and reading the authorities that replicas share.

use std::collections::BTreeMap;

use fluxkeep_certs::{Authorities, Bundle, Certificate, Error};
use proptest::prelude::*;

use super::{authority, bundle, copy, day};

#[test]
fn what_is_kept_is_read_again_and_keys_of_previous_ones_are_gone() {
    let (a, b) = (authority(day(0)), authority(day(1)));
    let certificates = |authorities: &Authorities| -> Vec<Certificate> {
        let used = [&authorities.current, &authorities.next]
            .into_iter()
            .flatten();
        used.map(|authority| authority.certificate().clone())
            .collect()
    };
    let shared = Authorities {
        current: Some(copy(&a)),
        ..Authorities::default()
    }
    .followed_by(copy(&b));
    let (read, errors) = Authorities::read(&bytes(&shared.data()), "the Secret");
    assert!(errors.is_empty());
    assert_eq!(
        certificates(&read),
        [a.certificate().clone(), b.certificate().clone()]
    );
    let switched = read.switched();
    assert_eq!(certificates(&switched), [b.certificate().clone()]);
    assert_eq!(switched.previous, bundle(&[&a]));
    let kept = switched.data();
    assert!(kept["previous.crt"].contains(&a.certificate().pem()));
    assert!(
        kept.values().all(|text| !text.contains(&a.key_pem())),
        "only its certificate stays"
    );
    assert_eq!(
        Authorities::read(&bytes(&kept), "the Secret")
            .0
            .living(day(366))
            .previous,
        Bundle::default()
    );
}

#[test]
fn what_cannot_be_used_counts_as_missing_and_is_told_without_its_key() {
    let (a, b) = (authority(day(0)), authority(day(0)));
    let leaf = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (ca, key) = (a.certificate().pem(), a.key_pem());
    let cases = [
        ("", key.as_str(), "holds no certificate in PEM"),
        ("hello", key.as_str(), "holds no certificate in PEM"),
        (ca.as_str(), "hello", "holds no private key in PEM"),
        (
            ca.as_str(),
            &b.key_pem(),
            "the private key does not match the certificate",
        ),
        (
            &leaf.cert.pem(),
            &leaf.signing_key.serialize_pem(),
            "the certificate is not a CA certificate",
        ),
    ];
    for (certificate, key, why) in cases {
        let data = [
            ("current.crt", certificate),
            ("current.key", key),
            ("stranger", "x"),
        ];
        let data = data
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into();
        let (read, errors) = Authorities::read(&bytes(&data), "the Secret");
        assert!(read.current.is_none() && read.next.is_none());
        let [error]: [Error; 1] = errors.try_into().unwrap();
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("the Secret (current)") && text.contains(why),
            "{text}"
        );
        assert!(
            key.lines()
                .nth(1)
                .is_none_or(|secret| !text.contains(secret)),
            "{text}"
        );
    }
    assert!(!format!("{a:?}").contains(a.key_pem().lines().nth(1).unwrap()));
}

proptest! {
    #[test]
    fn a_secret_of_which_bytes_were_changed_is_read_without_a_panic_and_its_key_is_not_told(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), in_key in any::<bool>()
    ) {
        let a = authority(day(0));
        let mut data = bytes(&Authorities { current: Some(copy(&a)), ..Authorities::default() }.data());
        let role = if in_key { "current.key" } else { "current.crt" };
        // Keeps the base64 valid, so that decoding succeeds with other bytes.
        let place = data.get_mut(role).unwrap();
        for (index, byte) in flips {
            let length = place.len();
            place[index.index(length)] = b'A' + byte % 26;
        }
        let bundle = Bundle::read(&data["current.crt"]);
        prop_assert!(bundle.iter().count() <= 1);
        let (_, errors) = Authorities::read(&data, "the Secret");
        let told = format!("{errors:?}");
        let key = a.key_pem();
        prop_assert!(key.lines().filter(|line| line.len() > 20 && !line.contains(' ')).all(|line| !told.contains(line)));
    }
}

fn bytes(data: &BTreeMap<String, String>) -> BTreeMap<String, Vec<u8>> {
    data.iter()
        .map(|(name, text)| (name.clone(), text.clone().into_bytes()))
        .collect()
}
