//! The report on cases in the JUnit format, which continuous integration reads.

use quick_junit::{NonSuccessKind, Report as JunitReport, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::{CaseReport, print};

/// A suite for each module, with a test for each of its cases.
pub(super) fn report(reports: &[CaseReport]) -> Result<String, SerializeError> {
    let mut junit = JunitReport::new("kube-ipam policy test");
    for of_module in reports.chunk_by(|one, two| one.module == two.module) {
        // A file that is not a case has no module, because it could not be read as far as that.
        let module = &*of_module[0].module;
        let mut suite = TestSuite::new(if module.is_empty() { "no case" } else { module });
        suite.add_test_cases(of_module.iter().map(case));
        junit.add_test_suite(suite);
    }
    junit.to_string()
}

fn case(report: &CaseReport) -> TestCase {
    let file = report.path.display().to_string();
    let (name, status) = match &report.outcome {
        Err(error) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(error.to_string());
            (file.clone(), status)
        }
        Ok((case, trial)) => {
            let unmet: Vec<_> = trial.requests.iter().filter(|answer| !answer.is_met()).collect();
            let name = if case.case.about.is_empty() { file.clone() } else { case.case.about.clone() };
            let status = match unmet.first() {
                None => TestCaseStatus::success(),
                Some(first) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(format!("step {}: {} asks", first.step + 1, first.who));
                    let mut description = String::new();
                    for answer in &unmet {
                        print::explain(&mut description, case, answer);
                    }
                    status.set_description(description);
                    status
                }
            };
            (name, status)
        }
    };
    let mut test = TestCase::new(name, status);
    test.set_classname(file).set_time(report.took);
    test
}
