//! Kubernetes version priority: `v1alpha1 < v1beta2 < v1 < v2`.
//!
//! Source: the Kubernetes API conventions ("version priority" of CustomResourceDefinitions). Names
//! of a form other than `v1`, `v1beta1` or `v1alpha1` sort below all others, by their letters.

use std::cmp::Ordering;

/// Compares two API version names. The version that Kubernetes prefers is the greater.
///
/// ```
/// use fluxkeep::crd::kube_version::compare;
/// assert!(compare("v1beta2", "v1").is_lt());
/// ```
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    rank(left).cmp(&rank(right))
}

/// Stability before number: any GA version beats any beta, and any beta beats any alpha.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank<'a> {
    Odd(&'a str),
    Alpha(u64, u64),
    Beta(u64, u64),
    Stable(u64),
}

fn rank(name: &str) -> Rank<'_> {
    conventional(name).unwrap_or(Rank::Odd(name))
}

fn conventional(name: &str) -> Option<Rank<'_>> {
    let rest = name.strip_prefix('v')?;
    if let Some((major, minor)) = rest.split_once("alpha") {
        return Some(Rank::Alpha(number(major)?, number(minor)?));
    }
    if let Some((major, minor)) = rest.split_once("beta") {
        return Some(Rank::Beta(number(major)?, number(minor)?));
    }
    number(rest).map(Rank::Stable)
}

/// A positive decimal without leading zero or sign, as the convention demands.
fn number(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn names_are_ordered_as_kubernetes_prefers_them() {
        let order = [
            "", "bar", "foo", "v", "v0", "v01", "v1Alpha1", "v1gamma1", "vbeta1", //
            "v1alpha1", "v1alpha2", "v2alpha1", "v1beta1", "v1beta2", "v1beta10",
            "v3beta1", //
            "v1", "v2", "v10",
        ];
        for (at, left) in order.iter().enumerate() {
            for (other, right) in order.iter().enumerate() {
                assert_eq!(
                    compare(left, right),
                    at.cmp(&other),
                    "{left} against {right}"
                );
            }
        }
    }

    #[test]
    fn a_number_too_long_to_count_is_an_odd_name_and_no_crash() {
        assert!(compare("v99999999999999999999999", "v1alpha1").is_lt());
    }
}
