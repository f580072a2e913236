//! The report that continuous integration understands.

use quick_junit::{NonSuccessKind, Report as Junit, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::{Report, print};

/// A suite a module, a test a case.
pub(super) fn report(reports: &[Report]) -> Result<String, SerializeError> {
    let mut junit = Junit::new("kube-ipam policy test");
    for of_module in reports.chunk_by(|one, two| one.module == two.module) {
        let module = &*of_module[0].module;
        let mut suite = TestSuite::new(if module.is_empty() { "no case" } else { module });
        suite.add_test_cases(of_module.iter().map(case));
        junit.add_test_suite(suite);
    }
    junit.to_string()
}

fn case(report: &Report) -> TestCase {
    let file = report.path.display().to_string();
    let (name, status) = match &report.outcome {
        Err(error) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(error.to_string());
            (file.clone(), status)
        }
        Ok((case, trial)) => {
            let unmet: Vec<_> = trial.requests.iter().filter(|request| !request.is_met()).collect();
            let name = if case.case.about.is_empty() { file.clone() } else { case.case.about.clone() };
            let status = match unmet.first() {
                None => TestCaseStatus::success(),
                Some(first) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(format!("step {}: {} asks", first.step + 1, first.who));
                    status.set_description(
                        unmet.iter().map(|request| print::explained(case, request)).collect::<String>(),
                    );
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
