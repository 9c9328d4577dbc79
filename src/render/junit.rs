//! JUnit's XML: a test case for each rule with findings or an abstention.

use std::collections::BTreeMap;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::printable;
use crate::case::finding::{Finding, Outcome};
use crate::case::verdict::Verdict;

type Xml = Writer<Vec<u8>>;

/// The findings and the abstention of a rule.
#[derive(Default)]
struct Case<'a> {
    refused: Vec<&'a Finding>,
    told: Vec<&'a Finding>,
    needs: Option<&'static str>,
}

pub(super) fn render(verdict: &Verdict) -> String {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Writing to memory does not fail.
    let _ = document(&mut xml, &cases(verdict));
    String::from_utf8_lossy(&xml.into_inner()).into_owned() + "\n"
}

fn cases(verdict: &Verdict) -> BTreeMap<&'static str, Case<'_>> {
    let mut cases: BTreeMap<_, Case<'_>> = BTreeMap::new();
    for finding in &verdict.findings {
        let case = cases.entry(finding.rule).or_default();
        let list = if finding.outcome() == Outcome::Refused {
            &mut case.refused
        } else {
            &mut case.told
        };
        list.push(finding);
    }
    for abstained in &verdict.abstained {
        cases.entry(abstained.rule).or_default().needs = Some(abstained.needs.name());
    }
    cases
}

fn document(xml: &mut Xml, cases: &BTreeMap<&'static str, Case<'_>>) -> io::Result<()> {
    let count = |wanted: fn(&Case<'_>) -> bool| {
        cases
            .values()
            .filter(|case| wanted(case))
            .count()
            .to_string()
    };
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suite = xml.create_element("testsuite").with_attributes([
        ("name", "fluxkeep"),
        ("tests", cases.len().to_string().as_str()),
        ("failures", count(|case| !case.refused.is_empty()).as_str()),
        (
            "skipped",
            count(|case| case.needs.is_some() && case.refused.is_empty()).as_str(),
        ),
    ]);
    suite.write_inner_content(|xml| {
        cases
            .iter()
            .try_for_each(|(rule, case)| one(xml, rule, case))
    })?;
    Ok(())
}

fn one(xml: &mut Xml, rule: &str, case: &Case<'_>) -> io::Result<()> {
    let element = xml
        .create_element("testcase")
        .with_attributes([("classname", "fluxkeep"), ("name", rule)]);
    element.write_inner_content(|xml| {
        let abstained = case
            .needs
            .map(|needs| format!("abstained: it needs the {needs}"));
        // The schema allows one of `skipped` and `failure` in a testcase.
        if let (Some(why), true) = (&abstained, case.refused.is_empty()) {
            xml.create_element("skipped")
                .with_attribute(("message", why.as_str()))
                .write_empty()?;
        }
        for finding in &case.refused {
            let message = printable(&finding.message);
            let failure = xml
                .create_element("failure")
                .with_attribute(("message", message.as_str()));
            failure.write_text_content(BytesText::new(&printable(&finding.to_string())))?;
        }
        let mut told: Vec<String> = case.told.iter().map(|finding| line(finding)).collect();
        if !case.refused.is_empty() {
            told.extend(abstained);
        }
        if !told.is_empty() {
            xml.create_element("system-out")
                .write_text_content(BytesText::new(&told.join("\n")))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn line(finding: &Finding) -> String {
    printable(&format!("{}: {finding}", finding.outcome().name()))
}
