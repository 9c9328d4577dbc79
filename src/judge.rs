//! The judge: pure, total, and the same behind every door.

use jiff::Timestamp;

use crate::case::facts::Facts;
use crate::case::finding::{Finding, Level};
use crate::case::overrides::Overrides;
use crate::case::policy::Policy;
use crate::case::request::{Request, Subject};
use crate::case::rule::{Case, Need, Rule, RuleResult};
use crate::case::verdict::{Abstained, Verdict};
use crate::repository::Repository;
use crate::repository::base::compare;
use crate::rules::RULES;

/// Asks every rule of the request's door. The same request, facts, policy and time always give the
/// same verdict, in any order of a release's objects.
#[must_use]
pub fn judge(request: &Request, facts: &Facts, policy: &Policy, now: Timestamp) -> Verdict {
    let case = Case {
        request,
        facts,
        policy,
        now,
    };
    let missing = case.missing_facts();
    let mut verdict = Verdict::default();
    for rule in RULES
        .iter()
        .filter(|rule| rule.doors.contains(&request.door))
    {
        let level = rule.weight_at(policy, request.door);
        if level != Level::Off {
            add(&mut verdict, rule, level, (rule.check)(&case));
            abstain(&mut verdict, rule, &missing);
        }
    }
    let overrides = Overrides::of(&case);
    for finding in &mut verdict.findings {
        excuse(finding, &overrides);
    }
    if let Some(repository) = case.repository() {
        allow(&mut verdict, repository);
        if let Some(base) = &repository.base {
            let before = Request {
                subject: Subject::Repository(base.clone()),
                ..request.clone()
            };
            let before = judge(&before, facts, policy, now);
            compare(&mut verdict, repository, &before, base);
        }
    }
    verdict.sort();
    verdict
}

fn add(verdict: &mut Verdict, rule: &'static Rule, level: Level, found: RuleResult) {
    match found {
        Ok(findings) => {
            verdict
                .findings
                .extend(findings.into_iter().map(|found| Finding {
                    rule: rule.id,
                    ..found.at_most(level)
                }));
        }
        Err(needs) => verdict.abstained.push(Abstained {
            rule: rule.id,
            needs,
        }),
    }
}

/// Records the abstention because of missing facts. The rule's other findings still count.
fn abstain(verdict: &mut Verdict, rule: &'static Rule, missing: &[Need]) {
    for needs in missing.iter().filter(|need| rule.needs.contains(need)) {
        verdict.abstained.push(Abstained {
            rule: rule.id,
            needs: *needs,
        });
    }
}

/// Marks a finding as overridden. An override that does not count adds its reason to the remedy.
fn excuse(finding: &mut Finding, overrides: &Overrides<'_>) {
    match overrides.claim(finding) {
        None => {}
        Some(Ok(counts)) => finding.excused = Some(counts),
        Some(Err(why)) => *finding = finding.clone().with_note(&why),
    }
}

/// Lets findings through that a comment in the repository allows.
fn allow(verdict: &mut Verdict, repository: &Repository) {
    let allowances = repository.allowances();
    for finding in &mut verdict.findings {
        if finding.excused.is_some() {
            continue;
        }
        let Some(allowance) = allowances.iter().find(|one| one.meets(finding)) else {
            continue;
        };
        match allowance.claim() {
            Ok(counts) => finding.excused = Some(counts),
            Err(why) => *finding = finding.clone().with_note(&why),
        }
    }
}

#[cfg(test)]
mod growth;
