//! The validity of certificates.

use std::time::{Duration, SystemTime};

/// A certificate's validity, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    /// The first moment.
    pub not_before: SystemTime,
    /// The last moment.
    pub not_after: SystemTime,
}

impl Life {
    /// True if the certificate is valid at `now`.
    #[must_use]
    pub fn holds(self, now: SystemTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// True if the certificate has expired.
    #[must_use]
    pub fn is_over(self, now: SystemTime) -> bool {
        self.not_after < now
    }

    /// True if the certificate needs renewal: two thirds of its life are over. Also true before its
    /// life begins, as after a clock jump.
    #[must_use]
    pub fn is_due(self, now: SystemTime) -> bool {
        let (life, age) = (
            self.not_after.duration_since(self.not_before),
            now.duration_since(self.not_before),
        );
        let (Ok(life), Ok(age)) = (life, age) else {
            return true;
        };
        age >= life * 2 / 3
    }
}

/// Lifetimes and waiting times for making certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The life of an authority.
    pub authority: Duration,
    /// The life of a leaf; it ends with its authority at the latest.
    pub leaf: Duration,
    /// The time by which a certificate's start is backdated, since clocks differ.
    pub skew: Duration,
    /// The time between registering an authority and serving from it. Each apiserver learns of a
    /// registration by its own watch, and none confirms that.
    pub settle: Duration,
}

impl Terms {
    /// Ten years for an authority, which ends with its process and is never renewed.
    #[must_use]
    pub fn of_a_process() -> Self {
        Self {
            authority: Duration::from_hours(10 * 365 * 24),
            ..Self::default()
        }
    }
}

impl Default for Terms {
    /// An authority lives a year, like the control plane's own certificates. A leaf lives 90 days:
    /// less than the third of a year that its authority still has when succeeded. Nodes' clocks
    /// differ by minutes. An apiserver that lost its watch restores it within minutes.
    fn default() -> Self {
        Self {
            authority: Duration::from_hours(365 * 24),
            leaf: Duration::from_hours(90 * 24),
            skew: Duration::from_hours(1),
            settle: Duration::from_mins(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_due_at_two_thirds_of_its_life_and_after_a_jump_of_the_clock() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        let life = Life {
            not_before: start,
            not_after: start + Duration::from_mins(5),
        };
        let cases = [
            (0, false),
            (199, false),
            (200, true),
            (300, true),
            (100_000, true),
        ];
        for (age, due) in cases {
            assert_eq!(life.is_due(start + Duration::from_secs(age)), due, "{age}");
        }
        assert!(
            life.is_due(start - Duration::from_secs(1)),
            "the clock went back"
        );
        let backwards = Life {
            not_before: life.not_after,
            not_after: life.not_before,
        };
        assert!(backwards.is_due(start), "a life that ends before it begins");
    }

    #[test]
    fn both_ends_belong_to_a_life() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        let life = Life {
            not_before: start,
            not_after: start + Duration::from_mins(1),
        };
        let second = Duration::from_secs(1);
        for (now, holds, over) in [
            (life.not_before - second, false, false),
            (life.not_before, true, false),
            (life.not_after, true, false),
            (life.not_after + second, false, true),
        ] {
            assert_eq!(
                (life.holds(now), life.is_over(now)),
                (holds, over),
                "{now:?}"
            );
        }
    }
}
